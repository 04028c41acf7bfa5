"""What every session begins with: a step runs as it is defined, says that it worked, and ends the program when it didn't."""
import asyncio
import inspect
import time
import traceback
import sys


def step(name):
    def run(work):
        begun = time.monotonic()
        try:
            asyncio.run(work()) if inspect.iscoroutinefunction(work) else work()
        except BaseException:
            traceback.print_exc()
            print("FAILED:", name, flush=True)
            sys.exit(1)
        print(f"ok: {name} ({(time.monotonic() - begun) * 1000:.0f} ms)", flush=True)
        return work

    return run


def eventually(ask, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        value = ask()
        if value:
            return value
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def raises(status, work):
    """Of all clients: an error that bears the status under one of the names they have for it."""
    try:
        work()
    except Exception as error:
        response = getattr(error, "response", None)
        found = getattr(error, "status", None) or getattr(getattr(error, "status", None), "code", None) or getattr(error, "code", None)
        found = found if isinstance(found, int) else getattr(found, "code", None) or getattr(response, "status_code", None)
        assert found == status, f"{found} in place of {status}: {error}"
        return error
    raise AssertionError(f"no {status}")
