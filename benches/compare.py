#!/usr/bin/env python3
"""Compares this working tree with another commit: both are built, then run in turns.

  compare.py times BASE          criterion's benchmarks: a table of times and ratios
  compare.py instructions [BASE] instructions of each stage (callgrind); fails if one takes 3 % more

The commit's files are put into compare/base in the target directory, then those of the working tree
into compare/here, and both are built into compare/target, so that what they depend on is built
once. Cargo tells the two apart by the age of their files alone: hence the order, the copies, and a
directory in which nothing else is built.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
COMPARE = TARGET / "compare"
BASE = COMPARE / "base"
HERE = COMPARE / "here"

# A stage may take so much more than before.
TOLERANCE = 0.03

# A commit message with this trailer accepts more: "Instructions: accepted, WHY".
TRAILER = "Instructions"


def output(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def git(*arguments):
    return output("git", "-C", str(REPOSITORY), *arguments).strip()


def commit(name):
    """The commit of this name, or None."""
    try:
        return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except subprocess.CalledProcessError:
        return None


def empty(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def check_out(base):
    """Puts the commit's files in place, as new as can be."""
    empty(BASE)
    archive = subprocess.Popen(["git", "-C", REPOSITORY, "archive", base], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-m", "-C", BASE], stdin=archive.stdout, check=True)
    if archive.wait() != 0:
        sys.exit(f"git archive {base} failed")
    forget_flags(BASE)


def copy_here():
    """Puts the working tree's files in place, newer than whatever was built before."""
    empty(HERE)
    for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if (REPOSITORY / name).is_file():
            (HERE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, HERE / name)
    forget_flags(HERE)


def forget_flags(tree):
    """Cargo reads the configuration above the tree as well; both would give each flag twice."""
    if REPOSITORY in tree.parents:
        shutil.rmtree(tree / ".cargo", ignore_errors=True)


def cargo(directory, *arguments):
    """Builds; returns the programs that came of it, by name."""
    command = ["cargo", *arguments, "-p", "benches", "--no-default-features"]
    messages = output(
        *command, "--message-format=json", cwd=directory,
        env={**os.environ, "CARGO_TARGET_DIR": str(COMPARE / "target")},
    )
    programs = {}
    for message in map(json.loads, messages.splitlines()):
        if message.get("reason") == "compiler-artifact" and message.get("executable"):
            programs[message["target"]["name"]] = message["executable"]
    return programs


# ---- Times ---------------------------------------------------------------------------------------


def keep(programs, name):
    """Copies programs to where the other tree's build does not overwrite them."""
    directory = COMPARE / name
    empty(directory)
    return {
        program: shutil.copy(path, directory / program) for program, path in programs.items()
    }


def measure(program, home, arguments):
    """Runs criterion's benchmarks of a program; returns the median of each, in ns."""
    environment = {**os.environ, "CRITERION_HOME": str(home)}
    run = subprocess.run(
        [program, "--bench", "--noplot", *arguments], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )
    if run.returncode != 0:
        sys.exit(f"{program} failed:\n{run.stdout}")
    medians = {}
    for path in home.glob("**/new/benchmark.json"):
        about = json.loads(path.read_text())
        estimates = json.loads((path.parent / "estimates.json").read_text())
        medians[about["full_id"]] = estimates["median"]["point_estimate"]
    return medians


def compare_times(options):
    base = commit(options.base)
    if base is None:
        sys.exit(f"{options.base}: there is no such commit here: BASE=COMMIT, such as BASE=HEAD~1")
    check_out(base)
    kind = ["bench", "--no-run"]
    trees = {"base": keep(cargo(BASE, *kind), "base-benches")}
    copy_here()
    trees["here"] = keep(cargo(HERE, *kind), "here-benches")
    both = sorted(set(trees["base"]) & set(trees["here"]))
    wanted = [name for name in both if not options.bench or name in options.bench.split(",")]
    if not wanted:
        sys.exit(f"no benchmark {options.bench}: BENCH=NAME,... of {', '.join(both)}")
    arguments = ["--warm-up-time", "0.5", "--measurement-time", str(options.seconds)]
    if options.filter:
        arguments.append(options.filter)
    best = {"base": {}, "here": {}}
    for name in wanted:
        for turn in range(options.rounds):
            # Whoever comes second may find the machine warmer.
            for tree in sorted(trees, reverse=turn % 2 == 1):
                print(f"{name}, round {turn + 1} of {options.rounds}, {tree}", file=sys.stderr)
                with tempfile.TemporaryDirectory() as home:
                    for bench, ns in measure(trees[tree][name], Path(home), arguments).items():
                        best[tree][bench] = min(ns, best[tree].get(bench, ns))
    print(f"\n{git('log', '-1', '--format=%h %s', base)}, against this working tree; the best of "
          f"{options.rounds} medians, ns\n")
    print(f"{'benchmark':<48}{'base':>14}{'here':>14}{'ratio':>8}")
    for bench in sorted(set(best["base"]) | set(best["here"])):
        before, after = best["base"].get(bench), best["here"].get(bench)
        ratio = f"{after / before:.3f}" if before and after else "-"
        cells = [f"{ns:.1f}" if ns else "-" for ns in (before, after)]
        print(f"{bench:<48}{cells[0]:>14}{cells[1]:>14}{ratio:>8}")


# ---- Instructions --------------------------------------------------------------------------------


def build_counted(tree, name):
    programs = cargo(tree, "build", "--profile", "bench", "--bin", "instructions")
    return keep(programs, name)["instructions"]


def count(program):
    """Instructions of each stage, each time it does something."""
    counts = {}
    for stage in output(program).split():
        with tempfile.NamedTemporaryFile() as log:
            times = int(output(
                "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                "--toggle-collect=*instructions*measured*", f"--log-file={log.name}",
                program, stage,
            ))
            text = Path(log.name).read_text()
        collected = re.search(r"Collected : (\d+)", text)
        if not collected or int(collected[1]) == 0 or times == 0:
            sys.exit(f"{stage}: nothing was counted\n{text}")
        counts[stage] = int(collected[1]) / times
    return counts


def choose_base(name):
    """The commit to compare with, and why there is none."""
    if name:
        return commit(name), f"there is no commit {name} here"
    if git("status", "--porcelain", "--untracked-files=no"):
        return commit("HEAD"), "HEAD is no commit"
    return commit("HEAD^"), "this commit has no parent here (a shallow clone, or the first one)"


def accepted(base):
    """Why a commit since the base accepts more instructions, or None."""
    form = f"--format=%(trailers:key={TRAILER},valueonly)"
    for line in git("log", form, f"{base}..HEAD").splitlines():
        if line.startswith("accepted,") and line.removeprefix("accepted,").strip():
            return line.removeprefix("accepted,").strip()
    return None


def count_base(name):
    """The base and its counts, or None and the reason."""
    base, reason = choose_base(name)
    if base is None:
        return None, None, reason
    check_out(base)
    if not (BASE / "benches/src/bin/instructions.rs").exists():
        return base, None, f"{base[:10]} does not count instructions yet"
    try:
        return base, count(build_counted(BASE, "base-instructions")), ""
    except subprocess.CalledProcessError as error:
        return base, None, f"{base[:10]} cannot be built or run: {error}"


def compare_instructions(options):
    base, before, reason = count_base(options.base)
    copy_here()
    after = count(build_counted(HERE, "here-instructions"))
    if before is None:
        print(f"not compared: {reason}")
        before = {}
    print(f"{'stage':<20}{'before':>12}{'now':>12}{'change':>10}   instructions each time")
    more = []
    for stage in {**before, **after}:
        old, new = before.get(stage), after.get(stage)
        change = f"{new / old - 1:+.1%}" if old and new else "-"
        cells = [f"{value:.1f}" if value else "-" for value in (old, new)]
        print(f"{stage:<20}{cells[0]:>12}{cells[1]:>12}{change:>10}")
        if old and new and new > old * (1 + TOLERANCE):
            more.append(f"{stage} {change} ({cells[0]} -> {cells[1]})")
    if not more:
        return
    why = accepted(base)
    if why:
        print(f"accepted ({why}): {', '.join(more)}")
        return
    sys.exit(
        f"FAILED: more than {TOLERANCE:.0%} more instructions than {base[:10]}: {', '.join(more)}\n"
        f"If they are worth it, say so in the commit message: `{TRAILER}: accepted, WHY`"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    times = verbs.add_parser("times")
    times.add_argument("base", metavar="BASE")
    times.add_argument("--bench", default="", help="only these programs, with commas between")
    times.add_argument("--filter", default="", help="only benchmarks whose name has this in it")
    times.add_argument("--rounds", type=int, default=3)
    times.add_argument("--seconds", type=float, default=1, help="of measuring each benchmark")
    times.set_defaults(run=compare_times)
    instructions = verbs.add_parser("instructions")
    instructions.add_argument("base", metavar="BASE", nargs="?", default="")
    instructions.set_defaults(run=compare_instructions)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
