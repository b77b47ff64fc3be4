#!/bin/sh
# Finds a Python and becomes it. In: the launcher's argument (native/register.c), or none: then the function's start
# waits for all of this, until boot has registered. So: built-ins alone, no subshell, one exec.

boot='
import posix, sys
reason = "it needs Python 3.10 or newer, this is " + sys.version.split()[0]
if sys.version_info >= (3, 10):
    try:
        sys.path.insert(0, "/opt/afterglow")
        import afterglow.boot
    except Exception as error:
        reason = repr(error)
    else:
        afterglow.boot.main(sys.argv[1:])
        sys.exit()
posix.execv("/bin/sh", ["sh", "/opt/afterglow/bare-loop.sh", reason, *sys.argv[1:]])
'

# The libraries that the function asks for are not ours: they can break the interpreter.
unset LD_LIBRARY_PATH LD_PRELOAD

# -I: no PYTHON* variable, no user folder on the path. -S: no site, which reads every .pth file: it took 25 ms of
# 31 where site-packages was well filled (Python 3.11).
if [ -n "$AFTERGLOW_PYTHON" ] && [ -x "$AFTERGLOW_PYTHON" ]; then
    exec "$AFTERGLOW_PYTHON" -I -S -c "$boot" "$@"
fi
for python in /var/lang/bin/python3 /var/lang/bin/python3.[0-9]*; do
    if [ -x "$python" ]; then
        # The managed runtimes set LD_LIBRARY_PATH for their own interpreter; /var/lang/lib is its part of it.
        export LD_LIBRARY_PATH=/var/lang/lib
        exec "$python" -I -S -c "$boot" "$@"
    fi
done
if command -v python3 >/dev/null; then
    exec python3 -I -S -c "$boot" "$@"
fi
exec /bin/sh /opt/afterglow/bare-loop.sh "there is no Python here" "$@"
