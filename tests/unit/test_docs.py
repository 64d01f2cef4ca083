"""Where the pages lead, and what they tell people to type."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from hook.cli.settings import parse
from hook.cli.usage import parse_arguments
from tests.pages import PAGES, ROOT, commands, lines, misquoted, prose, spans

every_page = pytest.mark.parametrize("page", PAGES)
CHART = Path("manifests", "helm", "llamastack-register-collections")
ALL = "\n".join(PAGES.values())
MOST_README_LINES = 170

OTHERS_FILES = {
    # Of private-ai-demo.
    "gitops/stage02-model-alignment/register-collections",
    "insert_via_llamastack.py",
    "llama-stack/kustomization.yaml",
    "patch-llama-stack-recreate.yaml",
    "patch-startup-probe.yaml",
    "run-batch-ingestion.sh",
    "stages/stage2-model-alignment",
    # A user's own.
    ".pre-commit-config.yaml",
    # LlamaStack's own.
    "config.yaml",
    "run.yaml",
}
"""Names of files that pages show, and that are not in this repository."""
ENDINGS = (".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml")


def tracked() -> list[str]:
    """Return the files of the repository."""
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def slugs(text: str) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        number = found.get(slug, 0)
        found[slug] = number + 1
        if number:
            found[f"{slug}-{number}"] = 1
    return set(found)


def links(text: str) -> list[str]:
    """Return where the links of a page lead."""
    return re.findall(r"\[[^\]]+\]\(([^)\s]+)\)", prose(text))


def test_anchors_are_those_of_github() -> None:
    text = "# A `b`: c, d – e?\n\n## [Same](x)\n\n## Same\n\n```sh\n# no heading\n```\n"

    assert slugs(text) == {"a-b-c-d--e", "same", "same-1"}


@every_page
def test_each_link_leads_to_a_file_and_a_heading(page: str) -> None:
    wrong = []
    for link in links(PAGES[page]):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.is_file() or (anchor and anchor not in slugs(target.read_text())):
            wrong.append(link)

    assert wrong == []


def test_each_page_is_found_from_the_readme() -> None:
    """Those for maintainers from the first of them."""
    pages = {name for name in PAGES if name.startswith("docs/")}
    first = "docs/maintainers/development.md"
    found = {f"docs/maintainers/{link}" for link in links(PAGES[first])}

    assert pages <= set(links(PAGES["README.md"])) | found


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= MOST_README_LINES


def test_its_first_screen_says_how_to_see_it() -> None:
    assert "`make demo`" in "\n".join(PAGES["README.md"].splitlines()[:15])


@every_page
def test_each_target_of_make_is_one_of_the_makefile(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for _, *words in commands(PAGES[page], "make") for word in words if "=" not in word}

    assert named - targets == set()


@every_page
def test_each_variable_of_make_is_one_of_the_makefile(page: str) -> None:
    """A variable that no target reads changes nothing."""
    given = {word.split("=")[0] for _, *words in commands(PAGES[page], "make") for word in words if "=" in word}
    makefile = (ROOT / "Makefile").read_text()

    assert {name for name in given if f"$({name})" not in makefile} == set()


@every_page
def test_the_program_takes_each_of_its_command_lines(page: str) -> None:
    """Flags and their values, too; what is asked for is not looked at."""
    for _, *arguments in commands(PAGES[page], "register-collections"):
        parse(parse_arguments(arguments), {})


def test_the_command_lines_are_found() -> None:
    """Else the tests above would prove nothing."""
    text = (
        "```console\n$ A=b make x C=d | tee y\nmake z\n```\n"
        '```sh\nV=$(hook -f "a b" \\\n  c 2>/dev/null) || exit  # make w\n```\n`make v`\n'
    )

    assert list(commands(text, "make", "hook")) == [["make", "x", "C=d"], ["hook", "-f", "a b", "c"], ["make", "v"]]
    assert len(list(commands(ALL, "register-collections"))) >= 5
    assert len(list(commands(ALL, "kubectl"))) >= 8


@every_page
def test_each_path_of_the_repository_exists(page: str) -> None:
    """Whole, or the end of one; what is another repository's is listed above."""
    files = tracked()
    tops = {file.split("/")[0] for file in files}
    scripts = [words[1] for words in commands(PAGES[page], "sh")]
    missing = []
    for name in (*spans(PAGES[page]), *scripts):
        if not re.fullmatch(r"[\w.*-]+(/[\w.*-]+)*/?", name) or name in OTHERS_FILES:
            continue
        if not name.endswith(ENDINGS) and not ("/" in name and name.split("/")[0] in tops):
            continue
        if not any(f"/{file}".endswith(f"/{name}") or file.startswith(f"{name.rstrip('/')}/") for file in files):
            missing.append(name)

    assert missing == []


@every_page
def test_each_remote_base_is_a_folder_of_the_manifests(page: str) -> None:
    named = re.findall(r"\$SOURCE//([\w./-]+)", PAGES[page])

    assert [path for path in named if not (ROOT / path / "kustomization.yaml").is_file()] == []


@every_page
def test_what_the_commands_apply_and_install_exists(page: str) -> None:
    """A folder for kustomize, a chart for Helm, and each file that is handed over."""
    wrong = []
    for words in commands(PAGES[page], "oc", "kubectl", "kustomize", "helm"):
        for option, value in pairwise(words):
            # `.` is a folder of one's own.
            if (
                option in ("-k", "--kustomize", "build")
                and value != "."
                and not (ROOT / value / "kustomization.yaml").is_file()
            ):
                wrong.append(value)
            if option in ("-f", "--filename", "--values", "--patch-file") and not (ROOT / value).is_file():
                wrong.append(value)
        if words[:2] in (["helm", "install"], ["helm", "upgrade"], ["helm", "template"]) and len(words) > 2:
            released = words[3] == f"oci://${{IMAGE%/*}}/charts/{Path(CHART).name}"
            wrong += [] if released or (ROOT / words[3] / "Chart.yaml").is_file() else [words[3]]

    assert wrong == []


@every_page
def test_each_value_that_is_set_is_one_of_the_chart(page: str) -> None:
    values = yaml.safe_load((ROOT / CHART / "values.yaml").read_text())
    found = [found for line in lines(PAGES[page]) for found in re.findall(r"--set ([\w.]+)=", line)]

    assert [key for key in found if not has(values, key)] == []


def has(values: Any, key: str) -> bool:
    """Return whether the values of a chart have a key, which may lead into them."""
    for name in key.split("."):
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


@every_page
def test_each_object_of_the_commands_is_one_of_the_manifests(page: str) -> None:
    """A Job, CronJob, Secret, ConfigMap or label; the Service of the server is one that they name."""
    manifests = "".join(path.read_text() for path in sorted((ROOT / "manifests").rglob("*.yaml")))
    known = set(re.findall(r"\bllama-?stack[\w-]*", manifests))
    named = {
        name
        for words in commands(PAGES[page], "oc", "kubectl")
        for word in words
        for name in re.findall(r"\bllama-?stack[\w-]*", word)
    }

    assert named - known == set()


def test_the_support_table_names_the_versions_that_are_used() -> None:
    modules = (ROOT / "tests/cluster/up/programs/go.mod").read_text()
    for name, module in (
        ("Helm", "helm.sh/helm/v4 v"),
        ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5 v"),
        ("Argo CD", "github.com/argoproj/argo-cd/v3 v"),
        ("Kubernetes", "k8s.io/kubernetes v"),
    ):
        major, minor, _ = modules.partition(module)[2].split()[0].split(".")
        (row,) = re.findall(rf"^\| {name} \|.*", PAGES["docs/support.md"], re.MULTILINE)
        assert f" {major}.{minor} |" in row


def test_each_test_on_a_cluster_shows_something() -> None:
    """What it shows is said on that page; else nobody knows that it is sure."""
    named = set(re.findall(r"`test_\w+\.py::(?:\w+::)?(test_\w+)`", PAGES["docs/maintainers/shown.md"]))
    files = (ROOT / "tests" / "cluster").glob("test_*.py")
    tests = {name for file in files for name in re.findall(r"^ *def (test_\w+)\(", file.read_text(), re.MULTILINE)}

    assert tests - named == set()


def test_each_test_that_shows_something_exists() -> None:
    """A claim about a cluster names its test; one that was renamed would leave the claim without."""
    named = re.findall(r"`(test_\w+\.py)::(?:(\w+)::)?(test_\w+)`", PAGES["docs/maintainers/shown.md"])

    assert len(named) > 30
    for file, group, name in named:
        text = (ROOT / "tests" / "cluster" / file).read_text()
        inside = text.partition(f"\nclass {group}:")[2].partition("\nclass ")[0] if group else text
        assert re.search(rf"^{'    ' if group else ''}def {name}\(", inside, re.MULTILINE), f"{file}::{group}::{name}"


@pytest.mark.parametrize(
    ("quotation", "missing"),
    [
        ("$ a\nvs_11111111-1111-1111-1111-111111111111 in 1.5 s\n…\n0\n", ""),
        ("$ a\n0\n", "$ a\n0\n"),
        ("0\n…\n$ a\n", "$ a\n"),
        ("vs_\n", "vs_\n"),
    ],
)
def test_a_quotation_is_word_for_word_and_in_order(quotation: str, missing: str) -> None:
    """But for ids, ports and seconds."""
    text = "$ a\nvs_22222222-2222-2222-2222-222222222222 in 12.0 s\n$ echo $?\n0\n"

    assert misquoted(quotation, text) == missing
