#!/usr/bin/python3
"""Calls a container engine as kubelet does, by the Container Runtime Interface (CRI, version 1).

usage: cri.py METHOD [REQUEST]      of the service runtime.v1.RuntimeService; REQUEST is JSON

Prints the answer as JSON: fields that are not in the tables below are left out. On an error its
message goes to the standard error, and the exit status is 1.
Environment: CRI_SOCKET (/run/containerd/containerd.sock).

curl speaks the HTTP/2: the gRPC module of Python takes half a minute to load under emulation.
"""
import json
import os
import re
import subprocess
import sys

# MESSAGE: FIELD=NUMBER[*][:TYPE]. "*" is repeated; the type is i (integer, boolean or enumeration),
# s (text, which is the default), m (map of text to text) or a message.
MESSAGES = """
RunPodSandboxRequest: config=1:PodSandboxConfig runtime_handler=2
RunPodSandboxResponse: pod_sandbox_id=1
StopPodSandboxRequest: pod_sandbox_id=1
RemovePodSandboxRequest: pod_sandbox_id=1
PodSandboxStatusRequest: pod_sandbox_id=1
PodSandboxStatusResponse: status=1:PodSandboxStatus
PodSandboxStatus: id=1 state=3:i network=5:PodSandboxNetworkStatus runtime_handler=9
PodSandboxNetworkStatus: ip=1
CreateContainerRequest: pod_sandbox_id=1 config=2:ContainerConfig sandbox_config=3:PodSandboxConfig
CreateContainerResponse: container_id=1
StartContainerRequest: container_id=1
StopContainerRequest: container_id=1 timeout=2:i
RemoveContainerRequest: container_id=1
ContainerStatusRequest: container_id=1
ContainerStatusResponse: status=1:ContainerStatus
ContainerStatus: id=1 state=3:i exit_code=7:i reason=10 message=11
ContainerStatsRequest: container_id=1
ContainerStatsResponse: stats=1:ContainerStats
ContainerStats: cpu=2:CpuUsage memory=3:MemoryUsage
CpuUsage: usage_core_nano_seconds=2:UInt64Value
MemoryUsage: working_set_bytes=2:UInt64Value
UInt64Value: value=1:i
UpdateContainerResourcesRequest: container_id=1 linux=2:LinuxContainerResources
ExecSyncRequest: container_id=1 cmd=2* timeout=3:i
ExecSyncResponse: stdout=1 stderr=2 exit_code=3:i
StatusRequest:
StatusResponse: status=1:RuntimeStatus
RuntimeStatus: conditions=1*:RuntimeCondition
RuntimeCondition: type=1 status=2:i reason=3 message=4
PodSandboxConfig: metadata=1:PodSandboxMetadata hostname=2 log_directory=3 annotations=7:m linux=8:LinuxPodSandboxConfig
PodSandboxMetadata: name=1 uid=2 namespace=3 attempt=4:i
LinuxPodSandboxConfig: cgroup_parent=1 security_context=2:LinuxSandboxSecurityContext sysctls=3:m
LinuxSandboxSecurityContext: namespace_options=1:NamespaceOption privileged=6:i seccomp=9:SecurityProfile
NamespaceOption: network=1:i pid=2:i ipc=3:i target_id=4
SecurityProfile: profile_type=1:i localhost_ref=2
ContainerConfig: metadata=1:ContainerMetadata image=2:ImageSpec command=3* args=4* working_dir=5 envs=6*:KeyValue mounts=7*:Mount devices=8*:Device annotations=10:m log_path=11 tty=14:i linux=15:LinuxContainerConfig
ContainerMetadata: name=1 attempt=2:i
ImageSpec: image=1
KeyValue: key=1 value=2
Mount: container_path=1 host_path=2 readonly=3:i propagation=5:i
Device: container_path=1 host_path=2 permissions=3
LinuxContainerConfig: resources=1:LinuxContainerResources security_context=2:LinuxContainerSecurityContext
LinuxContainerResources: cpu_period=1:i cpu_quota=2:i cpu_shares=3:i memory_limit_in_bytes=4:i oom_score_adj=5:i cpuset_cpus=6 unified=9:m
LinuxContainerSecurityContext: capabilities=1:Capability privileged=2:i namespace_options=3:NamespaceOption run_as_user=5:Int64Value readonly_rootfs=7:i supplemental_groups=8*:i no_new_privs=11:i run_as_group=12:Int64Value masked_paths=13* readonly_paths=14* seccomp=15:SecurityProfile
Capability: add_capabilities=1* drop_capabilities=2*
Int64Value: value=1:i
"""


def read_tables():
    tables = {}
    for line in MESSAGES.strip().splitlines():
        message, _, fields = line.partition(":")
        tables[message] = {}
        for field in fields.split():
            name, _, rest = field.partition("=")
            number, _, kind = rest.partition(":")
            tables[message][name] = (int(number.rstrip("*")), number.endswith("*"), kind or "s")
    return tables


TABLES = read_tables()


def put_varint(number):
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def put_bytes(number, data):
    return put_varint(number << 3 | 2) + put_varint(len(data)) + data


def put_one(number, kind, value):
    if kind == "i":
        return put_varint(number << 3) + put_varint(int(value))
    if kind == "s":
        return put_bytes(number, value.encode())
    if kind == "m":
        return b"".join(put_bytes(number, put_one(1, "s", k) + put_one(2, "s", v)) for k, v in value.items())
    return put_bytes(number, encode(kind, value))


def encode(message, fields):
    out = b""
    for name, value in fields.items():
        number, repeated, kind = TABLES[message][name]
        for one in value if repeated else [value]:
            out += put_one(number, kind, one)
    return out


def get_varint(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return number, at


def get_fields(data):
    """Yields numbers and values, the latter integers or bytes."""
    at = 0
    while at < len(data):
        key, at = get_varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = get_varint(data, at)
        else:
            length, at = get_varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
            value, at = data[at:at + length], at + length
        yield key >> 3, value


def decode(message, data):
    names = {number: (name, repeated, kind) for name, (number, repeated, kind) in TABLES.get(message, {}).items()}
    fields = {}
    for number, value in get_fields(data):
        if number not in names:
            continue
        name, repeated, kind = names[number]
        if kind == "s":
            value = value.decode(errors="replace")
        elif kind in TABLES:
            value = decode(kind, value)
        if repeated:
            fields.setdefault(name, []).append(value)
        else:
            fields[name] = value
    return fields


def call(method, message):
    """One gRPC call: a message with a zero and its length in front, and the status in the trailers."""
    curl = ["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "200",
            "--unix-socket", os.environ.get("CRI_SOCKET", "/run/containerd/containerd.sock"),
            "--header", "content-type: application/grpc", "--header", "te: trailers", "--data-binary", "@-",
            "--dump-header", "/dev/stderr", "http://localhost/runtime.v1.RuntimeService/" + method]
    done = subprocess.run(curl, input=b"\0" + len(message).to_bytes(4, "big") + message, capture_output=True)
    headers = done.stderr.decode()
    status = re.search(r"^grpc-status: *(\d+)", headers, re.M | re.I)
    if not status or status[1] != "0":
        text = re.search(r"^grpc-message: *(.*)", headers, re.M | re.I)
        unquoted = re.sub("%([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), text[1]) if text else headers
        sys.exit(f"{method}: {unquoted.strip()}")
    return done.stdout[5:]


def main():
    method, request = sys.argv[1], json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}")
    print(json.dumps(decode(method + "Response", call(method, encode(method + "Request", request)))))


main()
