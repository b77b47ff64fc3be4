"""Watches /tmp for changed templates, in watchdog's threads."""

from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

observer = None


def handler(event, context):
    global observer
    if observer is None:
        observer = Observer()
        observer.schedule(FileSystemEventHandler(), "/tmp")
        observer.start()
    return {"watching": observer.is_alive()}
