#!/bin/bash
# Downloads and builds in the folder $1 what the machines of the lab need: a kernel, the modules and programs of NFS in root/, an
# initramfs, and the disk of the server. Installs nothing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
rm -rf debs root ram && mkdir -p debs/partial root/usr/{bin,sbin,lib,lib64} ram/{bin,dev,host,new,packages,proc,sys,up}
for directory in bin sbin lib lib64; do ln -s "usr/$directory" "root/$directory"; done

kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/ *Depends: \(linux-image-[^ ]*\)/\1/p')
(cd debs && apt-get download -q "$kernel")
# Those packages that the host, whose root the machines share, does not have.
apt-get install -qq --yes --download-only --no-install-recommends -o Dir::Cache::archives="$PWD/debs" nfs-kernel-server
for package in debs/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C root
done
cp root/boot/vmlinuz-* vmlinuz

version=$(ls root/lib/modules)
modules='virtio_pci virtio_blk virtio_net virtio_console 9p 9pnet_virtio overlay ext4 crc32c_generic nfsv3 nfsv4 nfsd'
busybox depmod -b root "$version"
mkdir -p "ram/lib/modules/$version"
(cd "root/lib/modules/$version" &&
  grep -hE "^[^:]*/(${modules// /|})\.ko[^:]*:" modules.dep | tr -d : | tr ' ' '\n' | sort -u |
  xargs cp --parents -t "$OLDPWD/ram/lib/modules/$version")
busybox depmod -b ram "$version"
echo "$modules" > ram/modules
cp "$(command -v busybox)" ram/bin/busybox
install -m 755 "$here/init" ram/init
(cd ram && find . | cpio -o -H newc --quiet | gzip -1 > ../initramfs.gz)

truncate -s 1G disk && mkfs.ext4 -qF disk
# The last step: without this file, the next run builds again.
echo "$version" > built
