"""The command `lrnet`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from lrnet.data import DataError
from lrnet.images import MAX_PIXELS
from lrnet.packed import MAX_SIDE

MAX_THREADS = 1024

MAX_DRAWS = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 when it went well, 1 after an error that it has named, 2 for wrong usage, 130 if interrupted."""
    options = _parser().parse_args(arguments)
    # PyTorch takes seconds to import: only a command that was understood waits for it.
    from lrnet.checkpoint import CheckpointError
    from lrnet.run import RunError

    try:
        options.command(options)
    except (DataError, RunError, CheckpointError, ValueError, OSError) as error:
        print(f"lrnet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        trains = options.command is _train
        print(
            "lrnet: interrupted" + ("; it goes on where it stopped when it is given again" if trains else ""),
            file=sys.stderr,
        )
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("lrnet", description="Learns and writes networks of one-bit weights.")
    commands = parser.add_subparsers(
        required=True,
        metavar="pack | train | diagnose | calibrate | export | evaluate | report | compare",
    )

    pack = commands.add_parser("pack", help="make a data set of images: the file that a run's `data` names")
    pack.add_argument(
        "source",
        type=Path,
        help="a folder with a folder a class, or with train/ and test/ of that kind, or with train.npz and test.npz",
    )
    pack.add_argument(
        "--out", type=Path, required=True, metavar="DIR/NAME.npz", help="written anew if it is there"
    )
    pack.add_argument("--size", type=_size, default=(32, 32), metavar="WIDTHxHEIGHT", help="default: 32x32")
    pack.add_argument("--channels", type=int, choices=(1, 3), default=3, help="1: grey; default: 3")
    pack.add_argument("--resize", choices=("stretch", "contain", "cover"), default="stretch")
    pack.add_argument(
        "--test", type=_share, help="the share put aside where there is no test part; default: 0.1"
    )
    pack.add_argument("--run", type=Path, metavar="RUN.toml", help="also write a run to start from")
    pack.add_argument("--strict", action="store_true", help="write nothing where anything is skipped")
    pack.add_argument(
        "--max-pixels",
        type=_pixels,
        default=2**24,
        help="of one image; default: 2^24, as XNORD_MAX_PIXELS of the server",
    )
    pack.set_defaults(command=_pack)

    train = commands.add_parser("train", help="train a run into a checkpoint folder, or go on with it")
    train.add_argument("run", type=Path, help="a run's TOML file")
    train.add_argument("--data", type=Path, help="the folder of the data set's files")
    train.add_argument("--checkpoint", type=Path, help="default: checkpoints/NAME")
    train.add_argument(
        "--log", type=Path, help="JSON lines, appended to; default: log.jsonl in the checkpoint"
    )
    train.add_argument("--threads", type=_threads, help="default: one for each core")
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="such as twin.epochs=1"
    )
    train.add_argument(
        "--compile", action="store_true", help="fuse element-wise steps: a minute to begin with, then faster"
    )
    train.add_argument("--bfloat16", action="store_true", help="sums over weights in bfloat16")
    train.add_argument(
        "--no-test", action="store_true", help="leave the test images unread, as where runs are compared"
    )
    train.set_defaults(command=_train)

    diagnose = commands.add_parser(
        "diagnose", help="measure a checkpoint's distribution, layer by layer, on held-out images"
    )
    diagnose.add_argument("checkpoint", type=Path)
    diagnose.add_argument("--data", type=Path, help="the folder of the data set's files")
    diagnose.add_argument(
        "--draws", type=_draws, default=10_000, help="of each sampled sum's weights; default: 10000"
    )
    diagnose.add_argument(
        "--out", type=Path, help="where diagnosis.json and diagnosis.svg go; default: the checkpoint"
    )
    diagnose.set_defaults(command=_diagnose)

    calibrate = commands.add_parser(
        "calibrate", help="fit a checkpoint's temperatures again, on held-out images"
    )
    calibrate.add_argument("checkpoint", type=Path)
    calibrate.add_argument("--data", type=Path, help="the folder of the data set's files")
    calibrate.add_argument("--log", type=Path, help="a log beside the training's own that notes it too")
    calibrate.set_defaults(command=_calibrate)

    export = commands.add_parser("export", help="write a model that xnord serves")
    export.add_argument("checkpoint", type=Path)
    export.add_argument("--out", type=Path, required=True, help="models/NAME/VERSION; it must not exist")
    export.add_argument("--data", type=Path, help="the folder of the data set's files")
    export.add_argument(
        "--default-members", type=int, help="how many answer a request that asks for no number; default: all"
    )
    export.add_argument(
        "--int8", action="store_true", help="also write baseline-int8.onnx, the float twin in eight bits"
    )
    export.add_argument(
        "--log",
        type=Path,
        help="a log beside the training's own that notes the reading of the test images too",
    )
    export.set_defaults(command=_export)

    evaluate = commands.add_parser("evaluate", help="measure a model by the integer reference")
    evaluate.add_argument("model", type=Path, help="models/NAME/VERSION")
    evaluate.add_argument("--data", type=Path, help="the folder of the data set's files")
    evaluate.add_argument("--split", choices=("test", "held-out"), default="held-out")
    evaluate.add_argument("--members", type=int, help="the first so many; default: each number from 1 on")
    evaluate.add_argument("--labels-out", type=Path, help="one label a line")
    evaluate.add_argument(
        "--log", type=Path, help="a log beside the one in runs/ that notes a reading of the test images too"
    )
    evaluate.set_defaults(command=_evaluate)

    report = commands.add_parser("report", help="write a model's card anew, with plots, from its test images")
    report.add_argument("model", type=Path, help="models/NAME/VERSION")
    report.add_argument("--data", type=Path, help="the folder of the data set's files")
    report.add_argument(
        "--log",
        type=Path,
        help="a log beside the one in runs/ that notes the reading of the test images too; the training's epochs"
        " are taken from it where none in runs/ has them",
    )
    report.add_argument(
        "--ablation", type=Path, nargs="+", default=[], metavar="LOG.jsonl", help="logs of what was compared"
    )
    report.set_defaults(command=_report)

    compare = commands.add_parser("compare", help="tabulate finished trainings by their logs, as Markdown")
    what = compare.add_mutually_exclusive_group(required=True)
    what.add_argument("logs", type=Path, nargs="*", default=[], metavar="LOG.jsonl")
    what.add_argument(
        "--into", type=Path, metavar="FILE.md", help="write the tables anew for which this file has places"
    )
    compare.set_defaults(command=_compare)
    return parser


def _threads(text: str) -> int:
    return _whole_number(text, 1, MAX_THREADS)


def _draws(text: str) -> int:
    return _whole_number(text, 100, MAX_DRAWS)


def _whole_number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"it is {least} to {most}, not {text}")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    width, separator, height = text.partition("x")
    sides = [
        int(side) if side.isascii() and side.isdecimal() and len(side) < 5 else 0 for side in (width, height)
    ]
    if separator == "" or not all(1 <= side <= MAX_SIDE for side in sides):
        raise argparse.ArgumentTypeError(f"it is WIDTHxHEIGHT, each 1 to {MAX_SIDE}, not {text}")
    return sides[0], sides[1]


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"it is over 0 and under 1, not {text}")
    return share


def _pixels(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and 1 <= int(text) <= MAX_PIXELS):
        raise argparse.ArgumentTypeError(f"it is 1 to {MAX_PIXELS}, not {text}")
    return int(text)


def _pack(options: argparse.Namespace) -> None:
    from lrnet.discrete import Input
    from lrnet.pack import pack

    width, height = options.size
    pack(
        options.source,
        options.out,
        image=Input(height, width, options.channels, options.resize),
        max_pixels=options.max_pixels,
        test_share=options.test,
        strict=options.strict,
        run=options.run,
    )


def _train(options: argparse.Namespace) -> None:
    import torch

    from lrnet.checkpoint import default_log
    from lrnet.job import Settings
    from lrnet.run import read_run
    from lrnet.train import train

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    run, table = read_run(options.run, options.set)
    overrides = "".join(f" --set {override}" for override in options.set)
    folder = options.checkpoint or Path("checkpoints") / run.name
    train(
        table,
        folder,
        data=options.data,
        log_path=options.log or default_log(folder),
        command=f"lrnet train {options.run.name}{overrides}",
        settings=Settings(compile=options.compile, bfloat16=options.bfloat16, test=not options.no_test),
    )


def _diagnose(options: argparse.Namespace) -> None:
    from lrnet.diagnose import diagnose

    diagnose(options.checkpoint, data=options.data, draws=options.draws, out=options.out)


def _calibrate(options: argparse.Namespace) -> None:
    from lrnet.recalibrate import recalibrate

    recalibrate(
        options.checkpoint,
        data=options.data,
        # The folders' names are this machine's, and no part of what was done.
        command="lrnet calibrate CHECKPOINT" + (" --data DIR" if options.data else ""),
        extra_log=options.log,
    )


def _export(options: argparse.Namespace) -> None:
    from lrnet.export import export

    export(
        options.checkpoint,
        options.out,
        data=options.data,
        default_members=options.default_members,
        int8=options.int8,
        log=options.log,
    )


def _evaluate(options: argparse.Namespace) -> None:
    from lrnet.evaluate import evaluate

    evaluate(
        options.model,
        data=options.data,
        split=options.split,
        members=options.members,
        labels_out=options.labels_out,
        log=options.log,
    )


def _report(options: argparse.Namespace) -> None:
    from lrnet.report import report

    report(options.model, data=options.data, log=options.log, ablation=options.ablation)


def _compare(options: argparse.Namespace) -> None:
    from lrnet.compare import compare, fill

    if options.into is not None:
        fill(options.into)
    else:
        print(compare(options.logs))
