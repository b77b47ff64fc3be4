"""Errors that come of where a function runs, and not of what it does: an answer too large, no /dev/shm, no boto3.

In: an error's type, and what the caller was told. Out: a kind, with its words and what to do about it.
"""

import re

TOO_LARGE = "Function.ResponseSizeTooLarge"
PAYLOAD_BYTES = 6_291_556
"""The most that an answer may have: 6 MiB and 100 bytes (Lambda's own words at a refusal)."""

REPAIRS: dict[str, str] = {
    "no shared memory": (
        "Lambda has no /dev/shm, and what needs it fails there: multiprocessing's Lock, Queue, Pool and shared memory, "
        "and ProcessPoolExecutor. Use threads (ThreadPoolExecutor), or a multiprocessing.Process with a Pipe for each "
        "child. To run it here all the same: --shm host."
    ),
    "no SDK": (
        "Lambda's Python runtimes bring boto3 along; this interpreter has none. Install it where the function runs: "
        "pip install boto3. Lambda's own version changes without notice: a package that needs one had better bring it."
    ),
    "too large an answer": (
        "Lambda passes on 6 MB and no more. Put what is large into S3 and answer with a presigned URL, answer page by "
        "page, or let the function stream its response."
    ),
}

ENVIRONMENT_LIVES = ("no shared memory", "no SDK")
"""Kinds after which the environment goes on; the runtime ends of an answer that was refused."""

ANSWERED = {
    TOO_LARGE: f"answered with more than Lambda takes ({{sizes}}the limit is {PAYLOAD_BYTES:,}, or 6 MB)",
    "Runtime.MarshalError": "answered with what cannot be written as JSON",
}
"""Headlines for errors of which the handler raised none: it returned."""

_NO_SDK = re.compile(r"No module named '(boto3|botocore|s3transfer|jmespath|dateutil|urllib3|six)['.]")
"""boto3 and what it needs: of all packages, what Lambda's Python runtimes have besides the client."""

_NO_SEMAPHORE = re.compile(
    r"\[Errno 38\] |\[Errno (2|13)\] [^:\"]*(: '/[^/']*')?\".*(/multiprocessing/|concurrent/futures/process)"
)
"""What an error says where there is no /dev/shm: ENOSYS before glibc 2.34, since then ENOENT, as any missing file."""


def kind_of_error(error_type: str | None, answer: str) -> str | None:
    """Return the kind, a key of REPAIRS; ``answer`` is what the caller was told."""
    if error_type == TOO_LARGE:
        return "too large an answer"
    if error_type == "Runtime.ImportModuleError" and _NO_SDK.search(answer):
        return "no SDK"
    return "no shared memory" if _NO_SEMAPHORE.search(answer) else None
