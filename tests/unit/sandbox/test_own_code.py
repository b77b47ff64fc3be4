"""What is the function's own, in folders as pip and others leave them."""

from pathlib import Path

import pytest

from afterglow.own_code import OwnCode


def put(root: Path, *paths: str, text: str = "") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def record(root: Path, name: str, *files: str) -> None:
    put(root, *(file for file in files if not file.startswith((".", "/", '"'))))
    put(root, f"{name}.dist-info/RECORD", text="".join(f"{file},sha256=x,1\n" for file in files))


@pytest.fixture
def own(tmp_path: Path) -> OwnCode:
    """Give a function of which nothing has been looked at yet."""
    own = OwnCode()
    own.task_root = str(tmp_path)
    return own


def told(own: OwnCode, *paths: str) -> list[str]:
    """Return those that are the function's own."""
    return [path for path in paths if own.is_own(f"{own.task_root}/{path}")]


def test_what_pip_has_listed_is_a_dependency_and_the_rest_the_functions_own(own: OwnCode, tmp_path: Path) -> None:
    record(tmp_path, "boto3-1.0", "boto3/__init__.py", "boto3/session.py")
    record(tmp_path, "six-1.16", "six.py", "../../bin/six")

    assert ["app.py", "boto3_tricks.py", "jobs/one.py"] == told(
        own, "app.py", "boto3_tricks.py", "jobs/one.py", "six.py", "boto3/session.py", "boto3/__init__.py"
    )


def test_in_a_namespace_package_each_file_is_looked_up(own: OwnCode, tmp_path: Path) -> None:
    record(tmp_path, "google_auth-2", "google/auth/__init__.py", "google/auth/jwt.py")

    assert ["google/mine.py", "google/auth2/x.py"] == told(
        own, "google/mine.py", "google/auth2/x.py", "google/auth/jwt.py"
    )


def test_a_list_with_odd_names_is_read(own: OwnCode, tmp_path: Path) -> None:
    put(tmp_path, "odd-1.dist-info/RECORD", text='"odd/a,b.py",sha256=x,1\nodd/./c.py,,\n\n,,\nodd/\ufffd.py,,\n')

    assert ["odd/d.py"] == told(own, "odd/a,b.py", "odd/c.py", "odd/d.py")


def test_without_a_list_the_names_of_modules_decide(own: OwnCode, tmp_path: Path) -> None:
    put(tmp_path, "old-1.dist-info/top_level.txt", text="old\n_old_speedups\n")
    put(tmp_path, "named-1.dist-info/METADATA", "named/x.py")
    put(tmp_path, "egg-1.egg-info/top_level.txt", text="egg\n")
    put(tmp_path, "listed-1.egg-info/installed-files.txt", text="../listed.py\n../shared/listed.py\nPKG-INFO\n")

    assert ["shared/mine.py", "vendored/x.py"] == told(
        own,
        "old/x.py",
        "_old_speedups.py",
        "named/x.py",
        "egg/deep/x.py",
        "listed.py",
        "shared/listed.py",
        "shared/mine.py",
        "vendored/x.py",
    )


def test_a_folder_that_was_installed_into_is_looked_into(own: OwnCode, tmp_path: Path) -> None:
    record(tmp_path / "vendor", "requests-2", "requests/api.py")
    put(tmp_path, "vendor/old-1.dist-info/top_level.txt", text="old\n")

    assert ["vendor/mine.py"] == told(own, "vendor/requests/api.py", "vendor/old/x.py", "vendor/mine.py")


def test_what_was_installed_from_a_folder_is_the_functions_own(own: OwnCode, tmp_path: Path) -> None:
    record(tmp_path, "shop-1", "shop/handler.py")
    put(tmp_path, "shop-1.dist-info/direct_url.json", text='{"dir_info": {}, "url": "file:///src"}')

    assert ["shop/handler.py"] == told(own, "shop/handler.py")


@pytest.mark.parametrize(
    "file",
    [
        "/var/task/app.py",
        "/opt/python/requests/api.py",
        "<string>",
        "<frozen importlib._bootstrap>",
        "<template>",
        "pkg/_x.pyx",
        "app.py",
        "{root}/venv/lib/python3.11/site-packages/requests/api.py",
        "{root}/templates/page.html",
        "{root}",
        "",
    ],
)
def test_what_is_no_python_of_the_functions_is_not_its_own(own: OwnCode, file: str) -> None:
    assert not own.is_own(file.replace("{root}", own.task_root))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/home/me/project/app.py", True),
        ("/tmp/unpacked/app.py", True),
        ("/opt/python/tool.py", False),
        ("/usr/lib/python3.11/json/decoder.py", False),
        ("/var/lang/lib/python3.12/json/decoder.py", False),
        ("/home/me/.venv/lib/python3.11/site-packages/requests/api.py", False),
        ("/var/runtime/awslambdaric/bootstrap.py", False),
        ("pkg/_x.pyx", False),
        ("<string>", False),
        ("/tmp/page.html", False),
    ],
)
def test_a_file_elsewhere_is_near_unless_its_place_is_that_of_installations(
    own: OwnCode, file: str, expected: bool
) -> None:
    assert expected == own.is_near(file)


def test_a_function_that_lies_where_libraries_do_is_its_own_all_the_same() -> None:
    own = OwnCode()
    own.task_root = "/opt/python/lib/python3.11/site-packages/fn"

    assert own.is_own("/opt/python/lib/python3.11/site-packages/fn/app.py")


def test_before_the_folder_is_known_nothing_is_the_functions_own() -> None:
    own = OwnCode()

    assert not own.is_own("/var/task/app.py")
    own.task_root = "/var/task"
    assert own.is_own("/var/task/app.py")
