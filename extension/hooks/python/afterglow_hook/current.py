"""Whose invocation it is: the request id and index that work started now belongs to. Shared by the package."""

request_id: "str | None" = None
"""None until the first invocation: work that starts then was started by Init."""
index = 0
handler_thread: "int | None" = None
"""threading.get_ident() of the thread that runs the handler."""
alive = True
"""False once the hook has given up; every observer looks at it first."""
