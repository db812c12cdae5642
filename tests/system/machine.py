"""A real systemd as PID 1, in namespaces of its own, on a copy-on-write view of this machine's files.

Nothing that happens inside reaches the host: the root is an overlay whose upper half is a tmpfs; /run, /tmp, /var/tmp,
/var/log and /dev are fresh; the control group tree is a new one below a group of our own; the network is a lone loopback;
and of systemd's units only the few that are listed here exist, so that nothing cleans, mounts or probes anything.

KEEPD_MACHINE_ROOT=DIRECTORY: the files, and so the systemd, of another system than this one (trixie.py makes one).
"""
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from harness import ROOT, Deadline, Skip, children_of, eventually, need_root, program

MACHINE_ROOT = Path(os.environ.get("KEEPD_MACHINE_ROOT", "/"))
SYSTEMD = "/usr/lib/systemd/systemd"
UNIT = ROOT / "systemd" / "keepd.service"
UNITS = ["systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket", "basic.target",
         "sysinit.target", "sockets.target", "multi-user.target", "network.target", "shutdown.target", "umount.target",
         "final.target"]

MACHINE_TARGET = """[Unit]
Description=The machine of the tests
DefaultDependencies=no
Requires=systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service
After=systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service
AllowIsolate=yes
"""

JOURNALD = "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRateLimitBurst=0\nForwardToSyslog=no\n"

BOOT = r"""
set -eu
W=$1
mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$W"
mkdir "$W/upper" "$W/work" "$W/root"
mount -t overlay -o lowerdir="$3",upperdir="$W/upper",workdir="$W/work" machine "$W/root"
cd "$W/root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount --bind -o ro proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
for directory in run var/log; do mount -t tmpfs -o mode=755 tmpfs "$directory"; done
for directory in tmp var/tmp; do mount -t tmpfs -o mode=1777 tmpfs "$directory"; done
units=usr/lib/systemd/system
mkdir "$W/units"
for unit in UNITS; do
    [ ! -e "$units/$unit" ] || cp "$units/$unit" "$W/units/"
done
for directory in "$units" etc/systemd/system usr/lib/systemd/system-generators; do
    mkdir -p "$directory"
    mount -t tmpfs -o mode=755 tmpfs "$directory"
done
cp "$W/units"/* "$units/"
cp /dev/fd/3 etc/systemd/system/machine.target
mkdir -p etc/systemd/journald.conf.d run/notify
cp /dev/fd/4 etc/systemd/journald.conf.d/machine.conf
mount --bind "$2" run/notify
rm -f etc/fstab
mkdir -p run/old
pivot_root . run/old
umount -l /run/old
rmdir /run/old
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=unshare NOTIFY_SOCKET=/run/notify/socket \
    SYSTEMD --system --unit=machine.target --log-target=journal --log-level=info --show-status=no \
    3<&- 4<&-
""".replace("UNITS", " ".join(UNITS)).replace("SYSTEMD", SYSTEMD)

LOOPBACK_UP = """
import fcntl, socket, struct
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    request = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
    flags = struct.unpack("16sH14x", request)[1]
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
"""


def cgroup2_mount():
    """Where the unified hierarchy is mounted: /sys/fs/cgroup, or beside the old ones."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        if after.split()[0] == "cgroup2" and os.access(before.split()[4], os.W_OK):
            return Path(before.split()[4])
    raise Skip("needs a writable cgroup v2 hierarchy")


class ControlGroup:
    """A control group of our own; everything in it is killed and removed at the end."""

    def __init__(self, name):
        self.path = cgroup2_mount() / f"{name}-{os.getpid()}"
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise Skip(f"needs a writable cgroup v2 hierarchy: {error}") from error

    def enter(self):
        """For preexec_fn: the calling process moves in."""
        (self.path / "cgroup.procs").write_text("0")

    def populated(self):
        return "populated 1" in (self.path / "cgroup.events").read_text()

    def remove(self):
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")
        eventually(lambda: not self.populated(), "the control group to be empty")
        for directory, _, _ in os.walk(self.path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def need_namespaces():
    need_root()
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        raise Skip("needs unshare and nsenter")
    if subprocess.run(["unshare", "--pid", "--fork", "--mount", "--cgroup", "--uts", "--ipc", "--net", "true"],
                      stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skip("needs the right to make namespaces")


def need_inside(*programs):
    for one in programs:
        if not MACHINE_ROOT.joinpath(one[1:]).exists():
            raise Skip(f"needs {one}")


class Machine:
    def __init__(self):
        need_namespaces()
        need_inside(SYSTEMD)
        self.directory = Path(tempfile.mkdtemp(prefix="keepd-machine-"))
        self.group = ControlGroup("keepd-machine")
        self.unshare = None
        self.pid = None  # of its PID 1, in our own numbers

    def __enter__(self):
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def boot(self):
        notify_directory = self.directory / "notify"
        notify_directory.mkdir()
        (self.directory / "work").mkdir()
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(notify_directory / "socket"))
        files = [self.directory / "machine.target", self.directory / "journald.conf"]
        files[0].write_text(MACHINE_TARGET)
        files[1].write_text(JOURNALD)
        script = f'exec 3<"{files[0]}" 4<"{files[1]}"\n{BOOT}'
        self.said = (self.directory / "boot").open("w+b")
        self.unshare = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount", "--cgroup", "--uts", "--ipc", "--net", "--kill-child",
             "sh", "-c", script, "boot", str(self.directory / "work"), str(notify_directory),
             str(MACHINE_ROOT)],
            stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said, preexec_fn=self.group.enter,
            start_new_session=True)
        deadline = Deadline(60, "systemd to boot")
        pidfd = os.pidfd_open(self.unshare.pid)
        try:
            while True:
                readable = select.select([notify, pidfd], [], [], deadline.left())[0]
                if notify in readable and b"READY=1" in notify.recv(1 << 16).splitlines():
                    break
                if pidfd in readable:
                    self.said.seek(0)
                    raise AssertionError(f"systemd did not boot:\n{self.said.read().decode(errors='replace')}")
        finally:
            os.close(pidfd)
            notify.close()
        self.pid = children_of(self.unshare.pid)[0]
        self.run("/usr/bin/python3", "-c", LOOPBACK_UP)

    def __exit__(self, *_):
        if self.unshare:
            self.unshare.kill()  # takes PID 1 along, and that the whole PID namespace
            self.unshare.wait()
        self.group.remove()
        with contextlib.suppress(AttributeError):
            self.said.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, inside):
        """A path inside, as seen from here (only while the machine runs)."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def command(self, *arguments):
        return ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--net",
                "--wdns=/", *map(str, arguments)]

    def popen(self, *arguments, **options):
        return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, **options)

    def run(self, *arguments, expect=0, seconds=120, **options):
        done = subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=seconds, check=False, **options)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{' '.join(map(str, arguments))}: exit code {done.returncode}, expected {expect}\n"
                                 f"stdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def systemctl(self, *arguments, **options):
        return self.run("systemctl", *arguments, **options)

    def show(self, unit, *properties):
        text = self.systemctl("show", unit, "--property", ",".join(properties)).stdout
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def re_execute(self):
        """PID 1 executes itself anew (systemctl daemon-reexec). Returns when it is another image, and serves."""
        def image():
            return self.path("/proc/1/auxv").read_bytes()   # addresses, drawn at each exec
        before = image()
        self.systemctl("daemon-reexec")
        eventually(lambda: image() != before and self.systemctl("show", expect=None).returncode == 0, "PID 1 to serve again")

    def journal(self, *arguments):
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--quiet", "--no-pager", *arguments).stdout

    def install(self, source, inside, mode=0o755):
        """Copies a file in, as dpkg does: written beside, then renamed over."""
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(target.name + ".dpkg-new")
        shutil.copyfile(source, fresh)
        fresh.chmod(mode)
        os.rename(fresh, target)

    def write(self, inside, text, mode=0o644):
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(target.name + ".new")
        fresh.write_text(text)
        fresh.chmod(mode)
        os.rename(fresh, target)

    def proc(self):
        """The machine's own /proc, for its own pids."""
        return str(self.path("/proc"))


class KeepdMachine(Machine):
    """A machine with keepd installed as its package would, not started yet."""

    def __init__(self, programs, drop_in=None, daemon=None):
        super().__init__()
        self.programs = programs
        self.daemon = daemon or {}
        self.drop_in = drop_in

    def boot(self):
        super().boot()
        self.install(program("keepd"), "/usr/sbin/keepd")
        self.install(program("keepctl"), "/usr/bin/keepctl")
        self.install(program("victim"), "/opt/victim")
        self.install(UNIT, "/usr/lib/systemd/system/keepd.service", 0o644)
        if self.drop_in:
            self.write("/etc/systemd/system/keepd.service.d/test.conf", self.drop_in)
        self.configure(self.programs)
        self.systemctl("daemon-reload")

    def __exit__(self, kind=None, *rest):
        if kind and self.pid:
            print(f"# the journal's last lines:\n{self.run('journalctl', '--no-pager', '-n', '40', expect=None).stdout}")
        super().__exit__(kind, *rest)

    def configure(self, programs):
        self.programs = programs
        self.write("/etc/keepd/keepd.json", json.dumps({"version": 1, **self.daemon, "programs": programs}, indent=1))

    def keepctl(self, *arguments, **options):
        return self.run("keepctl", *arguments, **options)

    def status(self):
        return json.loads(self.keepctl("status", "--json").stdout)

    def program_status(self, name):
        return next(one for one in self.status()["programs"] if one["name"] == name)

    def main_pid(self):
        return int(self.show("keepd", "MainPID")["MainPID"])

    def kill(self, number):
        # The shell's own: a minimal system has no program of that name.
        self.run("sh", "-c", f"kill -{number} {self.main_pid()}")

    def unit_processes(self):
        """Pids, as the machine counts them, in the unit's control group and below."""
        return [int(line) for line in self.run("sh", "-c", "cat $(find /sys/fs/cgroup/system.slice/keepd.service "
                                               "-name cgroup.procs) 2>/dev/null", expect=None).stdout.split()]
