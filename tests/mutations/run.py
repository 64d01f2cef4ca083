"""Change the packages that decide, one place at a time, and see whether a test notices.

Prints what mutmut found, and writes it to build/mutations/result.txt. It ends with 1 where more than 3 % of the
mutants survive, where one does without a reason in `survivors.yaml`, and where a reason there has no survivor. With
`--continue` it goes on from the last run: it tries what has changed since, what was not tried, and all that survived.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
TREE = REPOSITORY / "build" / "mutations" / "tree"
MUTMUT = Path(sys.executable).with_name("mutmut")
AT_ONCE = 6
"""More than there are cores: mostly they wait for a stand-in server."""
MOST_SURVIVORS = 0.03
NOTICED = ("killed", "timeout", "segfault", "caught by type check")
"""What mutmut calls a mutant that made a test fail, or hang."""
UNTRIED = "not checked"


def main() -> int:
    """Run mutmut on a copy of the repository, and return 0 if the survivors are few and known."""
    goes_on = "--continue" in sys.argv and (TREE / "mutants").exists()
    copy_tree(keep=goes_on)
    run_mutants()
    statuses = read_statuses()
    if goes_on and (survived := [name for name, status in statuses.items() if status not in NOTICED]):
        run_mutants(*survived)
        statuses = read_statuses()
    survivors = {name: shown(name) for name, status in statuses.items() if status not in (*NOTICED, UNTRIED)}
    reasons = yaml.safe_load((HERE / "survivors.yaml").read_text()) or {}
    result, problems = judge(statuses, survivors, reasons)
    (TREE.parent / "result.txt").write_text(result)
    print(result)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def copy_tree(*, keep: bool) -> None:
    """Copy what Git knows, with what is not committed yet; `keep` says that the results of the last run stay."""
    for path in TREE.iterdir() if TREE.exists() else ():
        if path.name == "mutants" and keep:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, names.decode().split("\0")):
        if (REPOSITORY / name).exists():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, TREE / name)
    shutil.copy2(HERE / "setup.cfg", TREE)


def run_mutants(*names: str) -> None:
    """Let mutmut try these mutants, or all that it has no result of."""
    subprocess.run([MUTMUT, "run", "--max-children", str(AT_ONCE), *names], cwd=TREE, check=True)


def mutmut(*arguments: str) -> str:
    """Return what mutmut prints."""
    done = subprocess.run([MUTMUT, *arguments], cwd=TREE, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def read_statuses() -> dict[str, str]:
    """Return how each mutant ended, by its name."""
    lines = (line.strip().rsplit(": ", 1) for line in mutmut("results", "--all", "true").splitlines())
    return {line[0]: line[1] for line in lines if len(line) == 2}


def shown(name: str) -> str:
    """Return what a mutant changes: the function, the line before, and the one after."""
    changed = [line for line in mutmut("show", name).splitlines() if re.match(r"[-+](?![-+])", line)]
    where = re.sub(r"__mutmut_\d+$", "", name).replace("ǁ", ".").replace(".x_", ".").replace(".x.", ".")
    return f"{where}: {' '.join(' '.join(line.split()) for line in changed)}"


def judge(
    statuses: Mapping[str, str], survivors: Mapping[str, str], reasons: Mapping[str, str]
) -> tuple[str, Sequence[str]]:
    """Return what there is to print, and what is wrong with it."""
    by_module: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, status in statuses.items():
        by_module[".".join(name.split(".")[:2])][status] += 1
    all_of_them = sum(by_module.values(), Counter[str]())
    lines = [f"{module}: {told(counts)}" for module, counts in sorted(by_module.items())]
    tried = len(statuses) - all_of_them[UNTRIED]
    share = len(survivors) / max(1, tried)
    lines.append(f"all: {told(all_of_them)}; {share:.1%} of those that were tried survive")
    for text in sorted(survivors.values()):
        lines.append(f"\n{text}\n    {reasons.get(text, 'NO REASON')}")
    problems = [f"Survives, for no known reason: {text}" for text in survivors.values() if text not in reasons]
    problems += [f"No such survivor any more: {text}" for text in reasons if text not in survivors.values()]
    if share > MOST_SURVIVORS or not tried:
        problems.append(f"{len(survivors)} of {tried} mutants survive; at most {MOST_SURVIVORS:.0%} may")
    if tried < len(statuses):
        problems.append(f"{len(statuses) - tried} mutants were not tried: go on with --continue")
    return "\n".join(lines) + "\n", problems


def told(counts: Counter[str]) -> str:
    """Return these counts as a sentence."""
    return f"{counts.total()} mutants, " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


if __name__ == "__main__":
    raise SystemExit(main())
