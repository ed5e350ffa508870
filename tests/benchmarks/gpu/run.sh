#!/usr/bin/env bash
# What is measured on a GPU, in the order of its value, in under 25 minutes in all:
#   tests/benchmarks/gpu/run.sh OUT [PACKS]
# with the repository, torch, timm, pyarrow, scipy, rich and pytest alone.
# PACKS: a folder with the pack of ESC-10 at 16 kHz; made-up sounds take its place without it.
#   ONLY=right,steps   these items alone: contract right steps study many attention compiled lane
#   DEVICE=cpu         where there is no GPU: the same at laptop size, to see that it runs
#   PYTHON=python3     the interpreter
# Every item writes its results into OUT as they come, and is ended when its seconds are over.
set -uo pipefail
cd "$(dirname "$0")/../../.."
mkdir -p "${1:?a folder for the results}"
out=$(realpath "$1") packs=${2:+$(realpath "$2")} device=${DEVICE:-cuda} python=${PYTHON:-python3}
items=${ONLY:-contract,right,steps,study,many,attention,compiled}
gpu=tests.benchmarks.gpu
# One thread a process, since many share the cores; cuBLAS reads its setting once.
export OMP_NUM_THREADS=1 CUBLAS_WORKSPACE_CONFIG=:4096:8 PYTHONUNBUFFERED=1

# Seconds after which an item is ended; without `lane`, which was measured before, under 25 minutes.
declare -A limit=(
    [contract]=120 [right]=170 [steps]=210 [study]=460 [many]=170 [attention]=80
    [compiled]=90 [compiled_steps]=150 [lane]=100
)

# run ITEM COMMAND...: what it prints goes to OUT/ITEM.log as well. The command and its processes are
# one process group, which `timeout` ends as a whole.
run() {
    local item=$1 started=$SECONDS status
    shift
    echo "== $item: at $SECONDS s, ${limit[$item]} s at most"
    timeout --kill-after=10 "${limit[$item]}" "$@" 2>&1 | tee "$out/$item.log"
    status=${PIPESTATUS[0]}
    echo "$item: $((SECONDS - started)) s, exit code $status" | tee -a "$out/summary.txt"
}

script() {  # ITEM MODULE ARGUMENTS...: it begins nothing new in the last fifth of its seconds
    local item=$1 module=$2
    shift 2
    run "$item" "$python" -m "$gpu.$module" --device "$device" --out "$out" \
        --seconds $((limit[$item] * 8 / 10)) "$@"
}

study() {  # ITEM SWEEP PROCESSES ARGUMENTS...: of the sweep
    local item=$1 sweep=$2 processes=$3
    shift 3
    run "$item" "$python" -m "$gpu.study" "$sweep" --device "$device" --out "$out/$item" \
        --processes "$processes" --seconds $((limit[$item] * 8 / 10)) \
        ${packs:+--packs "$packs"} -- "$@"
}

: >"$out/summary.txt"
for item in ${items//,/ }; do
    case $item in
    contract)  # item 1: the tests that are marked `gpu`; on a CPU each skips itself
        spread=()
        "$python" -c 'import xdist' 2>/dev/null && [ "$device" != cpu ] && spread=(-n 8)
        run contract env OMP_NUM_THREADS=2 "$python" -m pytest -q -m gpu -p no:cacheprovider \
            --continue-on-collection-errors "${spread[@]}" \
            $(grep -rl 'pytest\.mark\.gpu' tests --include='test_*.py')
        ;;
    right) script right right ;;
    steps) script steps steps ;;  # item 2
    study)  # item 4; on a CPU small enough to see that it ends in a table
        if [ "$device" = cpu ]; then
            study study tests/benchmarks/gpu/table4.py 2 --demo --seeds 2 --epochs 1
        else
            study study tests/benchmarks/gpu/table4.py 6
        fi
        ;;
    many) script many many ${packs:+--packs "$packs"} ;;  # item 3
    attention) script attention attention ;;              # item 5
    compiled)  # items 1 and 2
        script compiled compiled
        script compiled_steps steps --modes graphs,compiled --only 128x512,64x128
        ;;
    lane) study lane sweeps/adaptor_lambda.py 8 --demo ;;
    *) echo "$item: no such item" | tee -a "$out/summary.txt" ;;
    esac
done
echo "== end: $SECONDS s"
cat "$out"/*.md
cat "$out/summary.txt"
