/**
 * The platforms for which the package contains a prebuilt binary, and what each binary may require of its machine.
 * The floors are those of the binaries of Node 20 itself: RHEL 8 (glibc 2.28, libstdc++ of GCC 8), macOS 11.
 */
import process from 'node:process'

const ELF_MACHINES = { x64: 62, arm64: 183 }
const MACHO_CPUS = { x64: 0x01000007, arm64: 0x0100000c }

const glibc = (arch) => ({
  ...linux(arch, 'glibc'),
  versions: { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '8.0.0' },
  libraries: /^(lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s)\.so\.\d+|ld-linux-.*\.so\.\d)$/,
})

const musl = (arch) => ({
  ...linux(arch, 'musl'),
  versions: {},
  libraries: /^(libc\.so|libc\.musl-.*\.so\.1|libstdc\+\+\.so\.6|libgcc_s\.so\.1)$/,
})

const linux = (arch, libc) => ({
  name: `linux-${arch}-${libc}`,
  platform: 'linux',
  arch,
  libc,
  file: `linux-${arch}/fsq.${libc}.node`,
  machine: ELF_MACHINES[arch],
  zig: `${arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-${libc === 'musl' ? 'musl' : 'gnu.2.28'}`,
})

const darwin = (arch) => ({
  name: `darwin-${arch}`,
  platform: 'darwin',
  arch,
  file: `darwin-${arch}/fsq.node`,
  machine: MACHO_CPUS[arch],
  versions: { macOS: '11.0' },
  libraries: /^\/usr\/lib\/lib(System\.B|c\+\+\.1)\.dylib$/,
  zig: `${arch === 'x64' ? 'x86_64' : 'aarch64'}-macos.11.0`,
})

export const TARGETS = [
  glibc('x64'),
  glibc('arm64'),
  musl('x64'),
  musl('arm64'),
  darwin('x64'),
  darwin('arm64'),
]

/** The target for this machine, or undefined. */
export function hostTarget() {
  const { platform, arch } = process
  return TARGETS.find(
    (target) => target.platform === platform && target.arch === arch && (target.libc ?? '') === libcOfHost(),
  )
}

function libcOfHost() {
  if (process.platform !== 'linux') return ''
  process.report.excludeNetwork = true // otherwise the report looks up the name of every peer
  return process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl'
}
