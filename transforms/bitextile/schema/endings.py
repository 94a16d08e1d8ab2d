"""How things end: a process that a command started, and memory that ran out, in a sentence."""

import signal

LIKELY = "most likely because memory ran out"
"""The usual reason why the system kills a process by SIGKILL: Linux's out-of-memory killer does."""


def how_it_ended(code: int) -> str:
    """Returns how a process ended, from its exit code as `subprocess` gives it.

    >>> how_it_ended(3)
    'ended with exit code 3'
    >>> how_it_ended(-9)
    'was killed by the system (SIGKILL), most likely because memory ran out'
    >>> how_it_ended(-11)
    'crashed (SIGSEGV)'
    """
    # A shell or container between gives 128 and the signal's number.
    number = -code if code < 0 else code - 128
    known = {int(s): s.name for s in signal.Signals}
    if number not in known:
        return f"ended with exit code {code}"
    name = known[number]
    if name == "SIGKILL":
        return f"was killed by the system ({name}), {LIKELY}"
    if name in ("SIGTERM", "SIGINT", "SIGHUP"):
        return f"was ended by a signal ({name})"
    return f"crashed ({name})"


def out_of_memory(error: BaseException) -> str:
    """Returns what to do about an error that says memory ran out; empty for another error.

    >>> out_of_memory(MemoryError("malloc of size 64 failed"))
    'memory ran out (malloc of size 64 failed); give fewer workers, or smaller batches'
    >>> out_of_memory(ValueError("memory"))
    ''
    """
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    # torch's own classes and texts: it is not imported for their sake.
    if type(error).__name__ == "OutOfMemoryError":
        return f"the device's memory ran out ({first}); lower `batch_tokens` or `batch_rows`"
    is_memory = isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)
    if is_memory or (isinstance(error, OSError) and error.errno == _ENOMEM):
        return f"memory ran out ({first}); give fewer workers, or smaller batches"
    return ""


_ENOMEM = 12
