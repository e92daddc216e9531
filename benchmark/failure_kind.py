"""What kind of failure an error is, and what helps where the error itself does not say."""

from __future__ import annotations

OUT_OF_MEMORY, GPU_LOST = "OutOfMemory", "GpuLost"

_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")
_HINTS = {
    OUT_OF_MEMORY: "lower batch_size or --size, run fewer --workers, or use a machine with more memory",
    GPU_LOST: "see `nvidia-smi` and the kernel's log; the same command tries again, also with --device cpu",
}


def failure_kind(error: Exception) -> str:
    """`OUT_OF_MEMORY`, `GPU_LOST`, or the name of the error's class.

    Torch says it by text: its errors are plain RuntimeErrors on CPU, and of several classes on GPUs.
    """
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(words in text for words in _MEMORY):
        return OUT_OF_MEMORY
    if isinstance(error, RuntimeError) and "cuda error" in text:
        return GPU_LOST
    return type(error).__name__


def hint(kind: str) -> str:
    """What a person can do about a failure of this kind; nothing where its message says it."""
    return _HINTS.get(kind, "")
