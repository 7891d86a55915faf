"""What figures depend on: the machine, the commit, the day."""

import datetime
import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def say(words):
    print(f"{datetime.datetime.now():%H:%M:%S} {words}", flush=True)


def first_words(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def setting(work, rounds, **programs):
    """What the figures depend on; `programs` says what ran, and how."""
    model = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "date": f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        "commit": first_words(["git", "describe", "--always", "--dirty", "--abbrev=10"]),
        "kernel": platform.release(),
        "processor": f"{os.cpu_count()} x {model[0] if model else platform.machine()}",
        "memory_gb": round(memory),
        "file_system": first_words(["stat", "-f", "-c", "%T", str(work)]),
        "load_before": round(os.getloadavg()[0], 2),
        "rounds": rounds,
        "java": first_words(["java", "-version"]),
        **programs,
    }
