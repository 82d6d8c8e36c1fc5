#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes OCI layouts quickly: plain layers, any number of them.

usage: layout.py DIR COUNT [BASE-TAR]

DIR gets one image "img" of COUNT layers, the lowest of them BASE-TAR when it is given. Layer N has the
files "of-N" and "top", both saying N.
"""
import hashlib, io, json, os, sys, tarfile


def layer(n):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("of-%d" % n, "top"):
            info = tarfile.TarInfo(name)
            info.size = len(b"%d\n" % n)
            tar.addfile(info, io.BytesIO(b"%d\n" % n))
    return out.getvalue()


def main(folder, count, base=None):
    os.makedirs(folder + "/blobs/sha256")

    def add(data, media):
        name = hashlib.sha256(data).hexdigest()
        with open("%s/blobs/sha256/%s" % (folder, name), "wb") as file:
            file.write(data)
        return {"mediaType": "application/vnd.oci.image." + media, "digest": "sha256:" + name, "size": len(data)}

    tars = [layer(n) for n in range(int(count))]
    if base:
        with open(base, "rb") as file:
            tars[0] = file.read()
    layers = [add(tar, "layer.v1.tar") for tar in tars]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = add(json.dumps({"architecture": machine, "os": "linux", "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [one["digest"] for one in layers]}}).encode(), "config.v1+json")
    manifest = add(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": layers}).encode(), "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "img"}
    with open(folder + "/index.json", "w") as file:
        json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)
    with open(folder + "/oci-layout", "w") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')


main(*sys.argv[1:])
