"""What a function finds around it in `afterglow run`, and what Lambda's managed runtimes have: real functions tell.

Each under RIE and under the built-in emulator. docs/local-run.md has the whole list.
"""

import errno
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.integration.conftest import COMMAND, RunFunction, environment
from tests.integration.test_run_limits import limit

pytestmark = pytest.mark.usefixtures("namespaces")

both_emulators = pytest.mark.parametrize("emulator", ["rie", "builtin"])

PRIMITIVES = {
    "Lock": "multiprocessing.Lock()",
    "Queue": "multiprocessing.Queue()",
    "Pool": "multiprocessing.Pool(1)",
    "ProcessPoolExecutor": "concurrent.futures.ProcessPoolExecutor(1)",
    "SharedMemory": "multiprocessing.shared_memory.SharedMemory(create=True, size=16)",
}

IMPORTS = "import concurrent.futures, multiprocessing.shared_memory, os"

TRIES = f"""
    {IMPORTS}
    def handler(event, context):
        seen = {{"/dev/shm": os.path.exists("/dev/shm"), "/dev/null": os.path.exists("/dev/null")}}
        for name, code in {PRIMITIVES!r}.items():
            try:
                made = eval(code)
                seen[name] = "there"
                if name == "SharedMemory":
                    made.unlink()
            except OSError as error:
                seen[name] = error.errno
        return seen
"""

NO_SHM = "/dev/shm: none, as on Lambda: multiprocessing's locks, queues and pools fail"

WITHOUT_SHM = (errno.ENOSYS, errno.ENOENT)
"""glibc before 2.34, Lambda's runtimes up to python3.11 among it; and from 2.34 on, those of python3.12 and later."""


@both_emulators
def test_there_is_no_dev_shm_and_nothing_that_needs_one(run_function: RunFunction, emulator: str) -> None:
    run = run_function(TRIES, "--repeat", "1", "--emulator", emulator)
    (seen,) = run.answers

    assert (False, True) == (seen.pop("/dev/shm"), seen.pop("/dev/null"))
    assert set(PRIMITIVES) == {name for name, code in seen.items() if code in WITHOUT_SHM}, seen
    assert NO_SHM == limit(run.document, "/dev/shm")


@pytest.mark.parametrize("code", PRIMITIVES.values(), ids=PRIMITIVES)
@pytest.mark.parametrize("place", ["handler", "module"])
def test_the_report_tells_why_it_failed_and_what_to_do_instead(
    run_function: RunFunction, code: str, place: str
) -> None:
    handler = "def handler(event, context):\n    return 1 if event else " + code
    source = f"{IMPORTS}\n{handler}" if place == "handler" else f"{IMPORTS}\n{code}\ndef handler(event, context): 1"
    run = run_function(source, "--repeat", "1")

    assert "What to do   Lambda has no /dev/shm" in run.output, run
    assert "ThreadPoolExecutor" in run.output


def test_a_process_with_a_pipe_needs_no_dev_shm(run_function: RunFunction) -> None:
    """What the report advises, then."""
    source = """
        import multiprocessing
        def work(pipe):
            pipe.send(42)
        def handler(event, context):
            ours, theirs = multiprocessing.Pipe()
            child = multiprocessing.Process(target=work, args=(theirs,))
            child.start()
            answer = ours.recv()
            child.join()
            return answer
    """

    assert [42] == run_function(source, "--repeat", "1").answers


def test_a_file_that_is_missing_is_not_taken_for_dev_shm(run_function: RunFunction) -> None:
    source = f"{IMPORTS}\ndef handler(event, context):\n    open('/nowhere/multiprocessing/pool.py')"

    assert "Lambda has no /dev/shm" not in run_function(source, "--repeat", "1").output


@both_emulators
def test_the_hosts_dev_shm_is_there_when_asked_for(run_function: RunFunction, emulator: str) -> None:
    run = run_function(TRIES, "--repeat", "1", "--emulator", emulator, "--shm", "host")
    (seen,) = run.answers

    assert {*PRIMITIVES} == {name for name, found in seen.items() if found == "there"}, seen
    assert "/dev/shm: this machine's (--shm host); Lambda has none" == limit(run.document, "/dev/shm")


def test_the_choice_may_come_from_the_environment(run_function: RunFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERGLOW_RUN_SHM", "host")
    monkeypatch.setenv("AFTERGLOW_RUN_FILES", "writable")
    limits = run_function("def handler(event, context): pass", "--repeat", "1").document["run"]["limits"]

    assert ["/dev/shm: this machine's", "files: writable"] == [
        sentence[: len(begin)]
        for begin in ("/dev/shm: this machine's", "files: writable")
        for sentence in limits
        if sentence.startswith(begin)
    ]


WRITES = """
    import errno, os
    def written(folder):
        try:
            with open(os.path.join(folder, "afterglow-test"), "w"):
                pass
        except OSError as error:
            return errno.errorcode[error.errno]
        os.remove(os.path.join(folder, "afterglow-test"))
        return "written"
    def handler(event, context):
        folders = [os.environ["LAMBDA_TASK_ROOT"], "/tmp", "/var/tmp", os.path.expanduser("~"), "/"]
        return [written(folder) for folder in folders]
"""


@both_emulators
def test_nothing_but_tmp_can_be_written(run_function: RunFunction, emulator: str) -> None:
    run = run_function(WRITES, "--repeat", "1", "--emulator", emulator)

    assert [["EROFS", "written", "EROFS", "EROFS", "EROFS"]] == run.answers
    assert "files: read-only, but for /tmp" == limit(run.document, "files")


def test_nor_where_tmp_is_the_hosts_and_the_function_lies_in_it(run_function: RunFunction) -> None:
    run = run_function(WRITES, "--repeat", "1", "--tmp", "host")

    assert ["EROFS", "written", "EROFS"] == run.answers[0][:3]


def test_the_functions_folder_can_be_written_when_asked_for(run_function: RunFunction, function_dir: Path) -> None:
    source = "def handler(event, context): return open('made', 'w').write('yes')"
    run = run_function(source, "--repeat", "1", "--files", "writable")

    assert [3] == run.answers
    assert "yes" == (function_dir / "made").read_text()
    assert limit(run.document, "files").startswith("files: writable, as this machine lets them be (--files writable)")


def test_a_folder_that_holds_the_runs_own_files_is_read_only_all_the_same(
    run_function: RunFunction, function_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records and loop image lie where TMPDIR says: here, in the function's folder."""
    monkeypatch.setenv("TMPDIR", str(function_dir))
    run = run_function(WRITES, "--repeat", "1")

    assert "EROFS" == run.answers[0][0], run
    assert 1 == len(run.document["environments"]), "the records could not be written"


NO_MOUNT_SETATTR = """
import ctypes, os, struct, sys
instruction = struct.Struct("HBBI").pack  # code, jump if true, jump if false, k: linux/filter.h
program = b"".join([
    instruction(0x20, 0, 0, 0),  # load the call's number
    instruction(0x15, 0, 1, 442),  # mount_setattr
    instruction(0x06, 0, 0, 0x0005_0000 | 38),  # SECCOMP_RET_ERRNO, ENOSYS
    instruction(0x06, 0, 0, 0x7FFF_0000),  # SECCOMP_RET_ALLOW
])
code = ctypes.create_string_buffer(program)
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, ctypes.addressof(code)))) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Becomes the command that it is given, for which the kernel is one before Linux 5.12 (seccomp(2))."""


def test_on_an_older_kernel_the_functions_folder_is_read_only_at_least(function_dir: Path, tmp_path: Path) -> None:
    (function_dir / "app.py").write_text(textwrap.dedent(WRITES))
    written = tmp_path / "run.json"
    command = [sys.executable, "-c", NO_MOUNT_SETATTR, *COMMAND, "app.handler", "--dir", str(function_dir)]
    command += ["--repeat", "1", "--gap", "0", "--json", str(written)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    document = json.loads(written.read_text())

    assert '["EROFS", "written", "written"' in document["invocations"][0]["caller"]["answer"], done.stdout
    assert limit(document, "files").startswith("files: the function's folder is read-only, no other ("), done.stdout


ENVIRONMENT = """
    import json, os, resource, sys
    def handler(event, context):
        umask = os.umask(0)
        os.umask(umask)
        return {
            "environ": {name: os.environ[name] for name in event if name in os.environ},
            "context": [context.log_group_name, context.log_stream_name, context.function_version],
            "umask": umask,
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
            "runtime": os.path.isdir("/var/runtime"),
            "task": os.path.samefile("/var/task/app.py", __file__),
        }
"""

LOG_STREAM = r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}"


@both_emulators
def test_variables_limits_and_folders_are_the_managed_runtimes(
    run_function: RunFunction, function_dir: Path, emulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    expected = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/local",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": f"/var/runtime:/var/runtime/lib:{function_dir}:{function_dir}/lib:/opt/lib",
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "PYTHONPATH": "/var/runtime",
        "TZ": ":UTC",
    }
    names = [*expected, "AWS_LAMBDA_LOG_STREAM_NAME", "HOME", "LC_ALL", "XDG_RUNTIME_DIR"]
    run = run_function(ENVIRONMENT, "--repeat", "1", "--emulator", emulator, "--event", json.dumps(names))
    (seen,) = run.answers
    log_stream = seen["environ"].pop("AWS_LAMBDA_LOG_STREAM_NAME")

    assert expected == seen["environ"]
    assert re.fullmatch(LOG_STREAM, log_stream), log_stream
    assert ["/aws/lambda/local", log_stream, "$LATEST"] == seen["context"]
    assert (0o022, [1024, 1024]) == (seen["umask"], seen["files"])
    assert (True, True) == (seen["runtime"], seen["task"])


@both_emulators
def test_the_functions_own_libraries_are_found_in_its_lib_folder(
    run_function: RunFunction, function_dir: Path, emulator: str
) -> None:
    (function_dir / "lib").mkdir()
    source, library = function_dir / "own.c", function_dir / "lib" / "libown.so"
    source.write_text("int own(void) { return 42; }")
    made = subprocess.run(["cc", "-shared", "-o", str(library), str(source)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no library can be made here: {made.stderr.decode()}")
    handler = "import ctypes\ndef handler(event, context): return ctypes.CDLL('libown.so').own()"

    assert [42] == run_function(handler, "--repeat", "1", "--emulator", emulator).answers


def test_a_variable_that_was_asked_for_wins(run_function: RunFunction) -> None:
    source = "import os\ndef handler(event, context): return [os.environ['HOME'], os.environ['LANG']]"
    run = run_function(source, "--repeat", "1", "--env", "HOME=/tmp", "--env", "LANG=C.UTF-8")

    assert [["/tmp", "C.UTF-8"]] == run.answers


PATCHES = """
    import sys
    seen = []
    def bootstrap():
        if "bootstrap" in sys.modules:
            return sys.modules["bootstrap"]
        module = sys.modules["__main__"]
        if hasattr(module, "awslambdaricmain") and hasattr(module.awslambdaricmain, "bootstrap"):
            return module.awslambdaricmain.bootstrap
        return module.bootstrap if hasattr(module, "bootstrap") else module
    found = bootstrap()
    handle = found.handle_event_request
    def patched(client, request_handler, *args, **kwargs):
        seen.append(found.__name__)
        return handle(client, request_handler, *args, **kwargs)
    found.handle_event_request = patched
    def handler(event, context):
        return seen
"""
"""Looks for the runtime's loop as sentry-sdk 2.75 does (integrations/aws_lambda.py), and patches it."""


@both_emulators
@pytest.mark.parametrize("layer", [[], ["--no-layer"]], ids=["with our layer", "without"])
def test_an_agent_finds_the_loop_that_it_patches_where_the_managed_runtimes_have_it(
    run_function: RunFunction, emulator: str, layer: list[str]
) -> None:
    run = run_function(PATCHES, "--repeat", "2", "--emulator", emulator, *layer)
    first, second = run.answers

    assert ["awslambdaric.bootstrap"] == first
    assert ["awslambdaric.bootstrap"] * 2 == second
