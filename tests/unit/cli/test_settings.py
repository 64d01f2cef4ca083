"""Flags before environment before default, and a sentence for everything that is wrong."""

import re
from pathlib import Path

import pytest

from hook.cli.commands import COMMANDS
from hook.cli.flags import FLAGS, SETTINGS
from hook.cli.settings import Presentation, Settings, parse, presentation
from hook.cli.usage import parse_arguments
from hook.errors import ConfigError
from hook.http.endpoint import Endpoint


def settings(*argv: str, **environ: str) -> Settings:
    """Return what flags and environment together ask for."""
    return parse(parse_arguments(argv), environ)


def problems(*argv: str, **environ: str) -> tuple[str, ...]:
    """Return what is wrong with flags and environment."""
    with pytest.raises(ConfigError) as caught:
        settings(*argv, **environ)
    return caught.value.problems


def test_defaults() -> None:
    """Without flags and environment the defaults of the table hold."""
    assert settings() == Settings(
        command="register",
        server=Endpoint("http://llama-stack-service:8321"),
        config=(Path("/config/collections.yaml"),),
        timeout_seconds=300,
        request_timeout_seconds=30,
        on_duplicate="fail",
        recreate_lost=False,
        publish_configmap=None,
        names=(),
    )


@pytest.mark.parametrize(
    ("argv", "value", "expected"),
    [((), "", False), ((), "false", False), ((), "true", True), (("--allow-empty",), "false", True)],
)
def test_a_switch_is_a_flag_without_a_value(argv: tuple[str, ...], value: str, expected: bool) -> None:
    """Its variable says true or false."""
    assert settings(*argv, HOOK_ALLOW_EMPTY=value).allow_empty is expected


def test_a_switch_is_nothing_but_true_or_false() -> None:
    assert problems(HOOK_ALLOW_EMPTY="yes") == ("HOOK_ALLOW_EMPTY: must be one of false, true, not 'yes'",)


def test_environment_overrides_defaults() -> None:
    """Every setting has its variable."""
    asked = settings(
        "check",
        LLAMA_STACK_URL="https://stack.example:443/prefix/",
        HOOK_CONFIG="x.yaml",
        HOOK_TIMEOUT_SECONDS="12.5",
        HOOK_REQUEST_TIMEOUT_SECONDS="3",
        HOOK_ON_DUPLICATE="oldest",
        HOOK_ON_LOST="recreate",
        HOOK_ON_UNPROVEN="fail",
        HOOK_PUBLISH_CONFIGMAP="ids",
        LLAMA_STACK_API_KEY="key",
    )

    assert asked == Settings(
        "check",
        Endpoint("https://stack.example:443/prefix", "key"),
        (Path("x.yaml"),),
        timeout_seconds=12.5,
        request_timeout_seconds=3,
        on_duplicate="oldest",
        recreate_lost=True,
        publish_configmap="ids",
        names=(),
        fail_unverified=True,
    )


def test_a_flag_comes_first_and_an_empty_variable_is_unset() -> None:
    """A pod's `value: ""` is no value."""
    asked = settings("--timeout", "7", HOOK_TIMEOUT_SECONDS="8", HOOK_CONFIG="", LLAMA_STACK_API_KEY="")

    assert (asked.timeout_seconds, asked.config, asked.server.api_key) == (7, (Path("/config/collections.yaml"),), None)


@pytest.mark.parametrize(
    ("argv", "variable", "expected"),
    [
        (("--config", "a", "--config", "b:c"), "d", ["a", "b:c"]),
        ((), "a:b", ["a", "b"]),
        ((), ":a::b:", ["a", "b"]),
        (("--config", "-"), "", ["-"]),
    ],
)
def test_a_configuration_may_have_several_files(argv: tuple[str, ...], variable: str, expected: list[str]) -> None:
    """The flag is repeated, and the variable is divided as PATH is."""
    assert [str(path) for path in settings(*argv, HOOK_CONFIG=variable).config] == expected


def test_a_path_of_nothing_is_no_file() -> None:
    """As of a shell's variable that is not set; it is not the working folder."""
    assert problems("--config", "") == ("--config: must be the path of a file or folder, or - for standard input",)
    assert problems(HOOK_CONFIG="::") == ("HOOK_CONFIG: must hold paths, with : between them, not '::'",)


def test_a_key_of_a_configmap_may_be_chosen() -> None:
    assert settings(HOOK_CONFIG_KEY="run.yaml").config_key == "run.yaml"


@pytest.mark.parametrize("url", ["http://user:p%40ss@stack:8321", "http://user:p%40ss@[::1]:8321/x"])
def test_credentials_leave_the_url(url: str) -> None:
    """What is shown of the URL has no credentials in it."""
    server = settings("--url", url).server

    assert server.basic_auth == ("user", "p@ss")
    assert server.url == url.replace("user:p%40ss@", "")
    assert "p@ss" not in repr(server)


def test_a_user_without_a_password_is_a_user() -> None:
    """Some proxies want a token in the user's place."""
    assert settings("--url", "http://token@stack").server.basic_auth == ("token", "")


@pytest.mark.parametrize(
    "url",
    ["stack:8321", "ftp://stack", "http://", "http://stack?x=1", "http://stack/#x", "http://user:secret@/"],
)
def test_a_url_that_is_none_is_a_problem(url: str) -> None:
    """The value is not repeated, since it may hold a password."""
    assert problems(LLAMA_STACK_URL=url) == (
        "LLAMA_STACK_URL: must look like http://llama-stack-service:8321, without ? or #",
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://stack:port",
        "http://stack:99999",
        "http://admin:s3cr3t/x@host:8321",
        "http://[::1",
        "http://stack..svc",
        "http://.",
        "http://-",
        "http://stack%20x",
        "http://admin:12/x@host:8321",
        "http://to/ken@host",
        "http://[v1.x]",
        "http://[1.2.3.4]",
        "http://stack/[x]",
        f"http://{'a' * 70}.svc",
    ],
)
def test_a_url_that_cannot_be_read_is_a_problem(url: str) -> None:
    """Whatever the standard library says of it, it is neither a traceback nor told: it may hold a password."""
    assert problems("--url", url) == ("--url: is not a URL; write % / # ? @ in a password as %25 %2F %23 %3F %40",)


@pytest.mark.parametrize("url", ["http://${HOST}:8321", "http://stack/${PATH}", "http://admin:${PASSWORD}@stack"])
def test_a_url_that_nobody_has_expanded_is_a_problem(url: str) -> None:
    """The shell or the manifest was to do it; waiting for that host would take the whole budget."""
    assert problems("--url", url) == ("--url: has a ${…} in it, which nothing expands; write the value itself",)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("LLAMA_STACK_URL", "http://$(SERVER_NAME)-service:9000", ""),
        ("HOOK_CONFIG", "/config/$(KEY)", ", not '/config/$(KEY)'"),
        ("HOOK_TIMEOUT_SECONDS", "$(SECONDS)", ", not '$(SECONDS)'"),
        ("HOOK_ON_LOST", "$(LOST)", ", not '$(LOST)'"),
        ("LLAMA_STACK_API_KEY", "$(KEY)", ""),
    ],
)
def test_a_reference_that_kubernetes_left_is_a_problem(name: str, value: str, shown: str) -> None:
    """It expands only what stands above it, and kustomize puts a variable of a patch first."""
    said = f"{name}: has a $(…) in it that was not expanded; write the value itself{shown}"
    assert problems(**{name: value}) == (said,)


def test_so_is_one_in_the_name_of_a_tokens_file() -> None:
    said = "has a $(…) in it that was not expanded; write the value itself"
    assert problems(LLAMA_STACK_API_KEY_FILE="/run/$(KEY)") == (f"LLAMA_STACK_API_KEY_FILE: /run/$(KEY): {said}",)


@pytest.mark.parametrize(
    "url",
    [
        "http://sta ck:8321",
        " http://stack",
        "http://stack\n",
        "http://stack/a b",
        "http://<x>",
        "http://us\udce9r:s3cr3t@stack",
    ],
)
def test_a_url_with_a_space_is_a_problem(url: str) -> None:
    """At once, and not when the server was waited for."""
    assert problems("--url", url) == ("--url: has a space or another character in it that a URL cannot have",)


@pytest.mark.parametrize(
    "url",
    ["http://stack.svc.cluster.local.", "http://my_stack", "https://bücher.example/ä", "http://[fe80::1%25eth0]:1"],
)
def test_a_url_that_can_be_sent_to_is_taken_as_it_is(url: str) -> None:
    """Names of Services, of Compose, and of other languages."""
    assert settings("--url", url).server.url == url


@pytest.mark.parametrize(
    "flag", ["--timeout", "--connections", "--publish-configmap", "--on-lost", "--output", "--url"]
)
def test_a_value_of_the_command_line_is_not_repeated(flag: str) -> None:
    """It may be a secret that was typed at the wrong place."""
    assert "s3cr3t" not in str(problems(flag, "s3cr3t/S3CR3T"))
    assert problems(flag, "s3cr3t/S3CR3T")


def test_the_path_of_the_api_is_not_part_of_the_url() -> None:
    """OpenAI clients take the URL with /v1, so it is often at hand in that form."""
    assert problems("--url", "http://stack/v1/") == ("--url: leave out the /v1 at its end; the hook adds it",)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "5m", "1e10"])
def test_a_duration_is_a_positive_number_of_seconds(value: str) -> None:
    """A unit or nonsense is a problem, and both durations are checked."""
    assert problems("--request-timeout", value, HOOK_TIMEOUT_SECONDS=value) == (
        f"HOOK_TIMEOUT_SECONDS: must be a number of seconds above 0 and up to 86400, not '{value}'",
        "--request-timeout: must be a number of seconds above 0 and up to 86400",
    )


@pytest.mark.parametrize("value", ["0", "-1", "201", "1.5", "many"])
def test_a_number_of_connections_is_a_whole_one_in_its_bounds(value: str) -> None:
    """Nothing else is made one."""
    assert problems("--connections", value) == ("--connections: must be a whole number from 1 to 200",)


def test_choices_are_checked_wherever_they_come_from() -> None:
    """Each wrong choice is named with what it could be."""
    assert problems(HOOK_OUTPUT="xml", HOOK_LOG_LEVEL="loud", HOOK_LOG_FORMAT="x", HOOK_ON_LOST="y") == (
        "HOOK_OUTPUT: must be one of text, json, markdown, github, not 'xml'",
        "HOOK_LOG_LEVEL: must be one of debug, info, warning, error, off, not 'loud'",
        "HOOK_LOG_FORMAT: must be one of console, json, not 'x'",
        "HOOK_ON_LOST: must be one of fail, recreate, not 'y'",
    )


def test_usage_errors_are_configuration_errors() -> None:
    """An unknown flag or command reaches the report like any other problem."""
    assert problems("--foo") == ("unrecognized arguments: --foo; see register-collections --help",)
    assert problems("sync") == (
        f"unknown command 'sync'; commands: {', '.join(COMMANDS)}; see register-collections --help",
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["chekc"], "unknown command 'chekc', did you mean check?; commands: "),
        (["check", "--conection", "3"], "unrecognized arguments: --conection, did you mean --connections?; see"),
        (["resolve", "x", "--api-key=sk-s3cr3t"], "unrecognized arguments: --api-key, did you mean --api-key-file?"),
        (["-p", "s3cr3t"], "unrecognized arguments; see register-collections --help"),
        (["sk-s3cr3t"], "unknown command; commands: "),
        (
            ["check", "a"],
            "check takes no names; to verify one collection, use `resolve a`; see register-collections check",
        ),
        (
            ["resolve"],
            "resolve needs the name of a collection: `resolve NAME …`, or `resolve --to FILE` for all; see",
        ),
        (["prune", "sk-s3cr3t"], "prune takes no names; to verify one collection, use `resolve NAME`; see"),
        (["--prune"], "unrecognized arguments: --prune, did you mean the command `prune`?; see"),
        (["check", "--to", "x"], "only resolve takes --to; see register-collections check --help"),
        (["check", "--strict"], "only validate takes --strict; see register-collections check --help"),
        (["validate", "--strict=s3cr3t"], "--strict takes no value; see register-collections validate --help"),
        (["check", "--timeout"], "--timeout needs a value: SECONDS; see register-collections check --help"),
        (["--prove"], "--prove needs a value: write|read; see register-collections --help"),
        (
            ["validate", "a", "--config", "b"],
            "give the files either as `--config FILE` or as `validate FILE …`, not both; see",
        ),
    ],
)
def test_a_usage_error_says_what_was_meant(argv: list[str], expected: str) -> None:
    """And it repeats no value, which may be a secret."""
    (problem,) = problems(*argv)

    assert problem.startswith(expected)
    assert "s3cr3t" not in problem


def test_a_usage_error_is_called_one_and_names_the_command() -> None:
    with pytest.raises(ConfigError) as caught:
        settings("check", "--foo")

    assert str(caught.value) == (
        "usage error in check: unrecognized arguments: --foo; see register-collections check --help"
    )


@pytest.mark.parametrize(
    "argv",
    [["--to", "x", "resolve", "a"], ["resolve", "a", "--to", "x"], ["--timeout", "3", "resolve", "--to=x", "--", "a"]],
)
def test_flags_may_stand_before_and_after_the_command(argv: list[str]) -> None:
    asked = settings(*argv)

    assert (asked.command, asked.names, asked.to) == ("resolve", ("a",), Path("x"))


def test_validate_takes_files_in_place_of_the_setting() -> None:
    asked = settings("validate", "a.yaml", "b.yaml", HOOK_CONFIG="c.yaml")

    assert (asked.files, asked.names) == ((Path("a.yaml"), Path("b.yaml")), ())


def test_the_key_may_stand_in_a_file(tmp_path: Path) -> None:
    """The newline at the end of a Secret's file is no part of the key."""
    path = tmp_path / "key"
    path.write_text("s3cret\n")

    assert settings("--api-key-file", str(path)).server == Endpoint("http://llama-stack-service:8321", None, path)
    assert settings(LLAMA_STACK_API_KEY="s3cret\n").server == Endpoint("http://llama-stack-service:8321", "s3cret")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\n", "is empty"),
        (b"x" * 9000, "is larger than a token"),
        (b"a\nb", "must hold one token of visible ASCII characters and nothing else"),
        (b"a b", "must hold one token of visible ASCII characters and nothing else"),
        (b"\xff\x00", "must hold one token of visible ASCII characters and nothing else"),
    ],
)
def test_a_key_file_that_holds_no_key_is_a_problem(tmp_path: Path, content: bytes, expected: str) -> None:
    """Its content is in no message."""
    path = tmp_path / "key"
    path.write_bytes(content)

    assert problems(LLAMA_STACK_API_KEY_FILE=str(path)) == (f"LLAMA_STACK_API_KEY_FILE: {path}: {expected}",)


def test_a_key_where_its_file_should_be_is_not_repeated() -> None:
    """Only what looks like a path is shown."""
    (problem,) = problems("--api-key-file", "s3cret-key")

    assert problem.startswith("--api-key-file: path not shown, because it may be the token: cannot be read: ")


def test_a_key_file_that_is_missing_is_a_problem(tmp_path: Path) -> None:
    """A Secret that was not mounted is said before anything is sent."""
    (problem,) = problems("--api-key-file", str(tmp_path / "missing"))

    assert problem == f"--api-key-file: {tmp_path / 'missing'}: cannot be read: No such file or directory"


def test_credentials_come_from_one_place(tmp_path: Path) -> None:
    """Two keys, or a key and a user in the URL, contradict each other."""
    path = tmp_path / "key"
    path.write_text("a")

    assert problems(LLAMA_STACK_API_KEY="b", LLAMA_STACK_API_KEY_FILE=str(path)) == (
        "LLAMA_STACK_API_KEY and LLAMA_STACK_API_KEY_FILE: set only one of them",
    )
    assert problems(LLAMA_STACK_API_KEY="schlüssel")[0].startswith("LLAMA_STACK_API_KEY: ")
    assert problems(LLAMA_STACK_API_KEY="b", LLAMA_STACK_URL="http://user:secret@stack") == (
        "LLAMA_STACK_API_KEY and user in LLAMA_STACK_URL: set only one of them",
    )


@pytest.mark.parametrize(
    ("terminals", "expected"),
    [
        ((True, True), Presentation("text", "warning", "console", is_read=True)),
        ((False, True), Presentation("json", "warning", "console")),
        ((True, False), Presentation("text", "info", "json")),
        ((False, False), Presentation("json", "info", "json")),
    ],
)
def test_the_form_follows_the_terminal(terminals: tuple[bool, bool], expected: Presentation) -> None:
    """People get text and what is unusual of the log, pipes get JSON, for each stream by itself."""
    assert presentation({}, {}, terminals=terminals) == expected


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ({}, {"GITHUB_ACTIONS": "true"}, "github"),
        ({}, {"GITHUB_ACTIONS": "false"}, "json"),
        ({}, {"GITHUB_ACTIONS": "true", "HOOK_OUTPUT": "json"}, "json"),
        ({"command": "resolve"}, {"GITHUB_ACTIONS": "true"}, "text"),
    ],
)
def test_an_action_of_github_gets_annotations(
    arguments: dict[str, str], environ: dict[str, str], expected: str
) -> None:
    assert presentation(arguments, environ, terminals=(False, False)).output == expected


def test_the_form_can_be_asked_for() -> None:
    """A flag or a variable decides over the terminal."""
    asked = presentation(
        {"output": "text"}, {"HOOK_LOG_FORMAT": "console", "HOOK_LOG_LEVEL": "debug"}, terminals=(False, False)
    )

    assert asked == Presentation("text", "debug", "console")


def test_help_names_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """What can be set is found without the README."""
    with pytest.raises(SystemExit, match="0"):
        parse_arguments(["--help"])

    text = capsys.readouterr().out
    assert [setting.variable for setting in SETTINGS if str(setting.variable) not in text] == []
    assert [command for command in COMMANDS if f"\n    {command} " not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_of_its_own(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With its flags, its exit codes and an example that it takes."""
    with pytest.raises(SystemExit, match="0"):
        parse_arguments(["--timeout", "3", command, "--help"])

    text = capsys.readouterr().out
    flags = {setting.flag for setting in (*SETTINGS, *FLAGS) if not setting.commands or command in setting.commands}
    assert set(re.findall(r"^  (--[a-z-]+)", text, re.MULTILINE)) == flags
    assert re.findall(r"^  (\d)  (\w+)", text, re.MULTILINE)[:3] == [("0", "ok"), ("1", "unexpected"), ("2", "config")]
    assert "  129/130/143     ended by a signal\n" in text
    example = text.split("example:\n")[1].split()[1:]
    assert settings(*example).command == command == example[0]


def test_a_usage_error_of_no_command_names_the_program() -> None:
    with pytest.raises(ConfigError, match=r"^usage error in register-collections: unknown command 'chekc'"):
        settings("chekc")
