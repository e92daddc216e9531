"""Under what the same cells are computed: each setting stands for a machine that would compute so by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

STANDARD = "standard"


@dataclass(frozen=True)
class Setting:
    """What a fresh process is given.

    Attributes:
        environment: variables beside the user's; libraries read them when they are loaded.
        threads: computing threads; workers have one, and so does the standard.
        device: "cpu" or "cuda".
    """

    environment: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    device: str = "cpu"


ON_CPU: dict[str, Setting] = {
    STANDARD: Setting(),
    "standard again": Setting(),
    "2 threads": Setting(threads=2),
    "kernels without AVX": Setting({"ATEN_CPU_CAPABILITY": "default"}),
    "kernels with AVX2": Setting({"ATEN_CPU_CAPABILITY": "avx2"}),
    "convolutions with SSE 4.1": Setting({"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "convolutions with AVX2": Setting({"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    "matrix products with SSE 4.2": Setting({"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}),
    "all as without AVX": Setting(
        {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
    ),
}
"""Kernels of torch itself, of oneDNN and of MKL, as older processors would have them chosen."""

ON_GPU: dict[str, Setting] = {"GPU": Setting(device="cuda")}
