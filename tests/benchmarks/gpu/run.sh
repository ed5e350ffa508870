#!/usr/bin/env bash
# Items 1 and 2 of what is wanted from a GPU, with the repository, torch, timm and pytest alone:
#   tests/benchmarks/gpu/run.sh OUT [PACKS]
# PACKS: a folder with the pack of ESC-10 at 16 kHz (python -m orchestrator.data pack), for the lane
# to its table. DEVICE=cpu runs the same at laptop size where there is no GPU.
set -uo pipefail
cd "$(dirname "$0")/../../.."
out=${1:?a folder for the results} packs=${2:-} device=${DEVICE:-cuda} size=()
[ "$device" = cpu ] && size=(--laptop)
export CUBLAS_WORKSPACE_CONFIG=:4096:8 PYTHONUNBUFFERED=1
mkdir -p "$out"
at() { echo "== $SECONDS s: $*"; }

if [ "$device" != cpu ] && [ -z "${SKIP:-}" ]; then
    at contract
    OMP_NUM_THREADS=2 timeout 240 python3 -m pytest -q -m gpu tests/models \
        tests/training/test_arithmetic.py tests/execution/test_pilot.py -n "${JOBS:-8}" \
        -p no:cacheprovider --durations=8 2>&1 | tail -45 | tee "$out/contract.txt"
fi
if [ -n "$packs" ]; then
    at lane
    fingerprint=$(basename "$(dirname "$(ls "$packs"/*/pack.json | head -1)")")
    store=$(mktemp -d) && ln -s "$(realpath "$packs")" "$store/packs"
    timeout 200 python3 tests/benchmarks/gpu/study.py sweeps/adaptor_lambda.py --device "$device" \
        --processes "${JOBS:-8}" -- --demo --store "$store" \
        --dataset "esc:fingerprint=$fingerprint" 2>&1 | tail -30 | tee "$out/lane.txt"
fi
at right  # SKIP=1 leaves out the contract and this
[ -n "${SKIP:-}" ] || timeout 420 python3 tests/benchmarks/gpu/right.py --device "$device" "${size[@]}" --out "$out" 2>&1 | tail -30
at steps
timeout 300 python3 tests/benchmarks/gpu/steps.py --device "$device" "${size[@]}" --out "$out" \
    --seconds "${STEPS_S:-200}" 2>&1 | tail -45
at end
