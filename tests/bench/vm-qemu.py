#!/usr/bin/env python3
# Starts QEMU's microvm machine with a kernel and an initramfs of brig's and waits until the agent in it is ready.
# usage: vm-qemu.py KERNEL INITRAMFS MIB DEBUGFS
# prints: milliseconds, resident memory in KiB, exits that KVM counted
import glob
import socket
import subprocess
import sys
import time

kernel, initramfs, mib, debugfs = sys.argv[1:]
READY_PORT, CID = 1, 77
COMMAND_LINE = "quiet reboot=k panic=-1 random.trust_cpu=on"


def exits(pid):
    total = 0
    for path in glob.glob("%s/kvm/%d-*/vcpu*/exits" % (debugfs, pid)) or glob.glob("%s/kvm/%d-*/exits" % (debugfs, pid)):
        with open(path) as f:
            total += int(f.read())
    return total


def resident(pid):
    with open("/proc/%d/status" % pid) as f:
        return next(line.split()[1] for line in f if line.startswith("VmRSS"))


listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
listener.bind((socket.VMADDR_CID_ANY, READY_PORT))
listener.listen(1)
listener.settimeout(600)
begin = time.monotonic()
qemu = subprocess.Popen(
    ["qemu-system-x86_64", "-M", "microvm,acpi=on,pit=off,pic=off,rtc=off,isa-serial=off", "-enable-kvm", "-cpu", "host",
     "-m", mib, "-kernel", kernel, "-initrd", initramfs, "-append", COMMAND_LINE, "-nodefaults", "-no-user-config",
     "-display", "none", "-no-reboot", "-device", "vhost-vsock-device,guest-cid=%d" % CID, "-device", "virtio-rng-device"],
    stdin=subprocess.DEVNULL)
connection, _ = listener.accept()
connection.recv(1)
print(round((time.monotonic() - begin) * 1000), resident(qemu.pid), exits(qemu.pid))
qemu.kill()
qemu.wait()
