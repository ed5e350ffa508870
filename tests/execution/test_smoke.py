"""What a failed smoke run shows of the error that its trial's record keeps."""

from orchestrator.errors import DataError
from orchestrator.execution.launch import _without_traceback

TRACEBACK = "Traceback (most recent call last):\n  File 'a.py', line 1\n"
LED_TO = "\nThe above exception was the direct cause of the following exception:\n\n"


def test_mistake_is_its_message_and_any_other_error_whole():
    name = f"{DataError.__module__}.{DataError.__name__}"
    mistake = f"{TRACEBACK}{name}: clip 'a' is gone\nput it back\n"
    assert _without_traceback(mistake) == "error: clip 'a' is gone\nput it back"
    led = f"{TRACEBACK}models.errors.ModelError: short\n{LED_TO}{mistake}"
    assert _without_traceback(led) == "error: clip 'a' is gone\nput it back"
    other = f"{mistake}{LED_TO}{TRACEBACK}KeyError: 'x'\n"
    assert _without_traceback(other) == other
