"""Coverage-guided fuzzing of what reads the files of strangers, for a bounded time.

    python -m pip install atheris -e .
    python tests/fuzz/fuzz.py --seconds 900 --reader idx --reader csv --reader model --reader picture

Each reader runs in a process of its own, one after the other, for the given time. An input is a finding if anything
but one of the library's own errors comes out, if the error is not one sentence, if reading takes more than a second of
the processor or more memory than `MOST_MEMORY`. Findings are kept as files in ``cases/``, named by reader and content;
`tests/test_strangers.py` reads every file there again. At the end there is one line of JSON for each reader.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import re
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

CASES = Path(__file__).parent / "cases"

MOST_SECONDS = 1.0
"""Of the processor, for one small file."""

MOST_MEMORY = 2**30
"""Bytes by which one file makes the process larger."""

LONGEST_SENTENCE = 400
"""Letters, besides the path."""

FUZZED = ("idx", "csv", "model", "picture")


def read_idx(content: bytes, folder: Path) -> object:
    from glassnet.data.idx import read_idx

    return read_idx(stored(folder / "a", content), max_bytes=2**24)


def read_csv(content: bytes, folder: Path) -> object:
    from glassnet.data.csv import read_csv

    return read_csv(stored(folder / "a", content))


def load_model(content: bytes, folder: Path) -> object:
    from glassnet.model_files import load_model

    return load_model(stored(folder / "a", content))


def read_picture(content: bytes, folder: Path) -> object:
    from glassnet.data.pictures import read_picture

    return read_picture(io.BytesIO(content))


def read_config(content: bytes, folder: Path) -> object:
    from glassnet.config import RunConfig

    return RunConfig.from_toml(stored(folder / "run.toml", content))


def find_study(content: bytes, folder: Path) -> object:
    from glassnet.studies.study import find_study

    return find_study(stored(folder / "study.toml", content))


def read_records(content: bytes, folder: Path) -> object:
    from glassnet.studies.records import LINES, PACKED, Records

    packed = content.startswith(b"\x1f\x8b")
    stored(folder / (PACKED if packed else LINES), content)
    (folder / (LINES if packed else PACKED)).unlink(missing_ok=True)
    return Records(folder).read()


def read_sums(content: bytes, folder: Path) -> object:
    from glassnet.data.folder import SUMS, read_sums

    stored(folder / SUMS, content)
    return read_sums(folder)


READERS: dict[str, Callable[[bytes, Path], object]] = {
    "idx": read_idx,
    "csv": read_csv,
    "model": load_model,
    "picture": read_picture,
    "config": read_config,
    "study": find_study,
    "records": read_records,
    "sums": read_sums,
}
"""What reads a file that is given by its content, with a folder where it may lie."""


def stored(path: Path, content: bytes) -> Path:
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123
        file.write(content)
    return path


class Outcome(NamedTuple):
    """How reading went: what is wrong with that, if anything, the error if there was one, and the seconds it took."""

    wrong: str | None
    error: str | None
    seconds: float


def outcome(reader: str, content: bytes, folder: Path, clock: Callable[[], float] = time.perf_counter) -> Outcome:
    """Read a file, and judge what came out."""
    from glassnet.errors import GlassnetError

    wrong, text, begin = None, None, clock()
    try:
        READERS[reader](content, folder)
    except GlassnetError as error:
        text = str(error).replace(str(folder), "")
        if len(text.splitlines()) != 1 or not text.endswith(".") or len(text) > LONGEST_SENTENCE:
            wrong = f"no sentence: {text[:500]!r}"
    except Exception as error:
        text = wrong = f"{type(error).__name__}: {str(error)[:300]}"
    seconds = clock() - begin
    if seconds > MOST_SECONDS and clock is time.perf_counter:  # another process may have had the processor
        return outcome(reader, content, folder, time.thread_time)
    if seconds > MOST_SECONDS:
        wrong = f"{seconds:.1f} seconds"
    return Outcome(wrong, text, seconds)


# ------------------------------------------------------------------------------------------ what to begin with


def idx_file(code: str, shape: tuple[int, ...], body: bytes) -> bytes:
    return bytes.fromhex(f"0000{code}") + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body


def model_file(metadata: dict[str, Any] | str | None = None) -> bytes:
    """Return a model file of a small network, with other metadata if they are given."""
    import numpy as np
    from safetensors.numpy import save

    rng = np.random.default_rng(0)
    shapes = {"dense_1.W": (6, 4), "dense_1.b": (4,), "dense_2.W": (4, 3), "dense_2.b": (3,)}
    tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    text = metadata if isinstance(metadata, str) else json.dumps(METADATA if metadata is None else metadata)
    return save(tensors, {"glassnet": text})


METADATA: dict[str, Any] = {
    "format": 1, "input_shape": [2, 3], "dtype": "float32",
    "layers": [
        {"type": "Flatten"},
        {"type": "Dense", "units": 4, "weights": {"type": "HeNormal"}, "bias": {"type": "Normal", "deviation": 0.5}},
        {"type": "LeakyReLU", "alpha": 0.2},
        {"type": "Dropout", "rate": 0.25},
        {"type": "Dense", "units": 3, "weights": {"type": "GlorotUniform"}, "bias": {"type": "Zeros"}},
        {"type": "Softmax"},
    ],
    "loss": {"type": "SoftmaxCrossEntropy", "reduction": "sum", "label_smoothing": 0.0},
    "preprocessing": {"scale": 0.5, "invert": True, "mean": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
    "class_names": ["no", "maybe", "yes"], "task": "classification",
}  # fmt: skip


def picture_files() -> list[bytes]:
    """Return a seven in every format that is read."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (24, 24), "white")
    ImageDraw.Draw(picture).line([(6, 5), (17, 5), (11, 19)], fill="black", width=2)
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("PNG", "RGB", {}), ("PNG", "L", {}), ("PNG", "P", {}), ("PNG", "RGBA", {}), ("PNG", "1", {}),
        ("JPEG", "RGB", {}), ("JPEG", "L", {"progressive": True}), ("JPEG", "CMYK", {}), ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {"lossless": True}), ("BMP", "RGB", {}), ("BMP", "P", {}), ("GIF", "P", {}),
        ("TIFF", "RGB", {}), ("TIFF", "L", {"compression": "tiff_lzw"}), ("PPM", "RGB", {}), ("PPM", "1", {}),
    ]  # fmt: skip
    found = []
    for kind, mode, options in kinds:
        file = io.BytesIO()
        picture.convert(mode).save(file, kind, **options)
        found.append(file.getvalue())
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif, quality=50)
    grey = " ".join(str(value) for value in picture.convert("L").tobytes())
    return [*found, file.getvalue(), f"P2\n# a seven\n24 24\n255\n{grey}\n".encode()]


RECORD: dict[str, Any] = {
    "format": 1, "key": "a7891d114be92e1c8494", "study": "mine", "cell": {"learning_rate": 0.1}, "rule": "gradient",
    "phase": "final", "seed": 0, "config": {"epochs": 2, "learning_rate": 0.1}, "outcome": "finished", "reason": None,
    "history": {"epoch": [0, 1], "step": [10, 20], "train_loss": [None, 0.5], "validation_accuracy": [0.1, 0.9]},
    "test_accuracy": 0.9, "test_loss": 0.25, "signals": {"begin": [{"layer": "dense_1", "dead": 0.0}]},
    "parameters": 27, "steps": 20, "train_seconds": 0.5, "evaluation_seconds": 0.1, "wall_seconds": 0.75,
    "attempts": 1, "machine": {"cores": 2}, "versions": {"numpy": "2"},
}  # fmt: skip

CONFIG = b"""data = "mnist"
classes = 10
hidden = [100, 50]
activation = "relu"
input_range = [0.0, 1.0]
initializer = "normal:0.05"
loss = "softmax-crossentropy"
label_smoothing = 0.1
optimizer = "momentum"
momentum = 0.9
momentum_form = "classical"
schedule = "cosine"
warmup = 10
class_weights = "balanced"
frozen = ["dense_1"]
batch_size = "full"
epochs = 3
max_steps = 1_000
shuffle = true
seed = 0x10
"""

STUDY = b"""name = "mine"
title = "Mine"
question = "Which?"
notes = '''
Two lines,
nothing else.
'''
seeds = 2
[run]
epochs = 2
[grid]
optimizer = ["adam", "sgd"]
depth = [{ label = 1, hidden = [10] }, { label = 2, hidden = [10, 10] }]
[[cells]]
label = { regime = "batch" }
batch_size = "full"
published = { accuracy = 97.2, seconds = 3 }
[[cells]]
label = { regime = "stochastic" }
batch_size = 1
[tuning]
learning_rates = [0.01, 0.1, 1.0]
rounds = 2
[report]
at_epochs = 1
baseline = { regime = "batch", optimizer = "sgd", depth = 1 }
plots = [{ kind = "curves", panel = "regime", quantity = "train_loss", over = "epoch", where = { depth = 1 } }]
answers = [{ kind = "pair", axis = "optimizer", of = ["adam", "sgd"] }, { kind = "best" }]
"""


def seeds(reader: str) -> list[bytes]:
    """Return good files, with something to say in every field."""
    lines = b"".join(json.dumps(RECORD | {"key": key}).encode() + b"\n" for key in "ab")
    plain = {
        "idx": lambda: [
            idx_file("08", (3,), b"\5\0\4"),
            idx_file("08", (2, 2, 3), bytes(range(12))),
            idx_file("09", (), b"\7"),
            idx_file("0b", (2, 2), struct.pack(">4h", 1, -2, 3, 400)),
            idx_file("0c", (0, 28, 28), b""),
            idx_file("0d", (2,), struct.pack(">2f", -0.5, 1e30)),
            idx_file("0e", (1, 1), struct.pack(">d", 0.1)),
        ],
        "csv": lambda: [
            b"7,0,255\n1,12,0\n",
            b"label,1x1,1x2\r\n7,0,255\r\n1,12,0\r\n\r\n",
            b"\xef\xbb\xbf5.0,0.5,-1e-3\n-3e0,1,nan\n",
            b"3," + b",".join(b"%d" % n for n in range(60)) + b"\n",
        ],
        "model": lambda: [model_file()],
        "picture": picture_files,
        "config": lambda: [CONFIG],
        "study": lambda: [STUDY],
        "records": lambda: [lines, lines + b'{"torn'],
        "sums": lambda: [(b"0" * 64 + b"  train-images-idx3-ubyte\n" + b"aB" * 32 + b" *./x/t10k.gz\r\n")],
    }[reader]()
    packed = [gzip.compress(content, mtime=0) for content in plain] if reader in ("idx", "csv", "records") else []
    return plain + packed


def words(reader: str) -> list[bytes]:
    """Return what a fuzzer would hardly guess."""
    text = {
        "idx": "",
        "csv": "nan inf 1e400 -1 1_0 0x1 \" ' \r\n",
        "model": "glassnet __metadata__ F64 BF16 data_offsets NaN Infinity 1e400 \\ud800 Sigmoid Identity Tanh ELU "
        "GELU MeanSquaredError SigmoidCrossEntropy regression multi-label float64 null true",
        "picture": "IHDR PLTE tRNS IDAT IEND eXIf zTXt iCCP RIFF WEBP VP8X VP8L ALPH ANIM ANMF Exif GIF89a",
    }[reader]
    binary = {
        "idx": [struct.pack(">I", 2**32 - 1), b"\0\0\x08\x01", b"\x1f\x8b\x08"],
        "picture": [b"\xff\xda", b"\xff\xc2", b"\xff\xe1", b"\xff\xd9", b"II*\0", b"MM\0*"],
    }
    return text.encode().split(b" ") + binary.get(reader, [])


def file_of(reader: str, data: bytes) -> bytes:
    """Make a file of what the fuzzer thought of, whose first byte says whether it gets its sums or its wrapping."""
    way, data = data[:1], data[1:]
    if way == b"r":
        return data
    if reader in ("idx", "csv"):
        return gzip.compress(data, 1, mtime=0)
    if reader == "model":
        text = data.decode("utf-8", "replace")
        return model_file(text)
    return with_sums(data)


def with_sums(content: bytes) -> bytes:
    """Put right the checksums of a PNG file."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    parts, place = [content[:8]], 8
    while place + 8 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        body = content[place + 4 : place + 8 + size]
        parts += [content[place : place + 4], body, struct.pack(">I", zlib.crc32(body))]
        place += 12 + size
    return b"".join(parts)


# ------------------------------------------------------------------------------------------ the fuzzer


def fuzz(reader: str, seconds: int, folder: Path, cases: Path) -> None:
    """Fuzz one reader; what was found is written down again and again, since the fuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["glassnet", "gzip", "json", "PIL"]):
        for content in seeds(reader):
            outcome(reader, content, folder)  # imports everything
    warnings.simplefilter("error")
    report = folder / "report.json"
    found: dict[str, Any] = {"executions": 0, "read": 0, "slowest": 0.0, "memory": 0, "findings": {}}
    written = 0.0

    def once(data: bytes) -> None:
        nonlocal written
        content = file_of(reader, data)
        before = largest()
        wrong, error, taken = outcome(reader, content, folder)
        memory = largest() - before  # of the whole process would tell what the fuzzer remembers, too
        if memory > MOST_MEMORY:
            wrong = f"{memory} bytes of memory"
        found["executions"] += 1
        found["read"] += error is None
        found["slowest"] = max(found["slowest"], round(taken, 4))
        found["memory"] = max(found["memory"], memory)
        if wrong is not None:
            kind = re.sub(r"[\d.]+|'.*'", "#", wrong)[:60]
            if kind not in found["findings"]:
                found["findings"][kind] = f"{keep(reader, content, cases)}: {wrong}"
                print(f"FOUND {found['findings'][kind]}", file=sys.stderr, flush=True)
                written = 0.0
        if time.monotonic() > written + 5:
            written = time.monotonic()
            report.write_text(json.dumps(found))

    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    plain = [content for content in seeds(reader) if not content.startswith(b"\x1f\x8b")]
    texts = [json.dumps(METADATA).encode()] if reader == "model" else plain
    for i, content in enumerate([*(b"r" + c for c in seeds(reader)), *(b"s" + c for c in texts)]):
        (corpus / str(i)).write_bytes(content)
    dictionary = folder / "words"
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in words(reader) if word)
    dictionary.write_text("".join(f'"{word}"\n' for word in quoted))
    options = [
        f"-max_total_time={seconds}",
        "-max_len=8192",
        "-timeout=20",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", f"-dict={dictionary}", str(corpus)], once)
    atheris.Fuzz()


def largest() -> int:
    """Return the most bytes that this process ever had."""
    import resource  # not on Windows

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def keep(reader: str, content: bytes, cases: Path) -> str:
    """Write a finding into the folder of the cases, and return its name."""
    name = f"{reader}-{hashlib.sha256(content).hexdigest()[:12]}"
    cases.mkdir(parents=True, exist_ok=True)
    (cases / name).write_bytes(content)
    return name


def run(reader: str, seconds: int, cases: Path, log: Path | None) -> dict[str, Any]:
    """Fuzz a reader in processes of its own until the time is over, and return what they reported."""
    total: dict[str, Any] = {"reader": reader, "executions": 0, "read": 0, "slowest": 0.0, "memory": 0, "findings": {}}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        while (left := seconds - int(time.monotonic() - begin)) > 0:
            command = [sys.executable, __file__, "--inside", name, "--seconds", str(left), "--reader", reader]
            done = subprocess.run(
                [*command, "--cases", str(cases)], stderr=subprocess.PIPE, text=True, errors="replace"
            )
            if log is not None:
                (log / f"{reader}.log").write_text(done.stderr, encoding="utf-8")
            found = json.loads((folder / "report.json").read_text()) if (folder / "report.json").exists() else {}
            executed = re.findall(r"number_of_executed_units:\s*(\d+)", done.stderr)
            total["executions"] += int(executed[-1]) if executed else found.get("executions", 0)
            total["read"] += found.get("read", 0)
            total["slowest"] = max(total["slowest"], found.get("slowest", 0.0))
            total["memory"] = max(total["memory"], found.get("memory", 0))
            total["findings"] |= found.get("findings", {})
            coverage = re.findall(r"cov: (\d+)", done.stderr)
            total["coverage"] = int(coverage[-1]) if coverage else None
            for artifact in [path for path in folder.glob("*-*") if path.is_file()]:  # crash-, timeout-, oom-
                case = keep(reader, file_of(reader, artifact.read_bytes()), cases)
                total["findings"][artifact.name] = f"{case}: {artifact.name}"
                artifact.unlink()
            if done.returncode and not found:
                raise SystemExit(done.stderr[-3000:])
    return total | {"seconds": round(time.monotonic() - begin)}


def replay(folder: Path) -> None:
    """Read every file of a folder whose name begins with a reader, and say how that went, a line of JSON each."""
    for reader in READERS:
        for content in seeds(reader):
            with tempfile.TemporaryDirectory() as name:
                outcome(reader, content, Path(name))  # imports everything
    warnings.simplefilter("error")
    for path in sorted(folder.iterdir()):
        content, before = path.read_bytes(), largest()
        with tempfile.TemporaryDirectory() as name:
            found = outcome(path.name.partition("-")[0], content, Path(name))
        print(json.dumps({"name": path.name, "memory": largest() - before} | found._asdict()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--reader", action="append", choices=FUZZED, help="may be given several times; default: all")
    parser.add_argument("--cases", type=Path, default=CASES, help="folder for the findings")
    parser.add_argument("--log", type=Path, help="folder for what the fuzzer says; default: nowhere")
    parser.add_argument("--replay", type=Path, help="fuzz nothing, but read the files of a folder such as cases/")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        fuzz(options.reader[0], options.seconds, options.inside, options.cases)
    if options.replay:
        replay(options.replay)
    for reader in () if options.replay else options.reader or FUZZED:
        print(json.dumps(run(reader, options.seconds, options.cases, options.log)), flush=True)


if __name__ == "__main__":
    main()
