"""What the wheel brings besides the program: a manual page and the completions of shells."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from hook.cli.commands import COMMANDS
from hook.cli.flags import FLAGS, SETTINGS
from release.share import MANUAL, SHARE, rendered


def test_the_files_are_those_of_the_help() -> None:
    """`make share` writes them anew."""
    written = {str(path.relative_to(SHARE)): path.read_text() for path in SHARE.rglob("*") if path.is_file()}

    assert written == rendered()


def test_the_manual_page_has_each_command_and_flag() -> None:
    text = (SHARE / MANUAL).read_text().replace("\\-", "-")

    assert [name for name in COMMANDS if f"\n.SS {name}\n" not in text] == []
    assert [each.flag for each in (*SETTINGS, *FLAGS) if f"\n.B {each.flag}" not in text] == []


def test_bash_completes_commands_and_flags() -> None:
    """A real bash is asked, as a key press would."""
    bash = shutil.which("bash")
    path = SHARE / "bash-completion/completions/register-collections"
    script = (
        f"source {path}; COMP_WORDS=(register-collections check --on-l); COMP_CWORD=2; "
        "$(complete -p register-collections | sed 's/.*-F \\([^ ]*\\).*/\\1/') register-collections; "
        'echo "${COMPREPLY[@]}"'
    )

    assert bash is not None
    result = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["--on-lost"]


def test_the_wheel_installs_them(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=SHARE.parent, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    names = {name.partition(".data/data/share/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    assert names - {""} == rendered().keys()
