import { readFileSync } from 'node:fs'
import process from 'node:process'

/**
 * The peak memory of this process, in MB.
 *
 * ru_maxrss survives execve(2), so it starts at the value of the parent. VmHWM counts this program alone.
 */
export function peakMB() {
  try {
    const status = readFileSync('/proc/self/status', 'utf8')
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)[1]) / 1024
  } catch {
    return process.resourceUsage().maxRSS / 1024
  }
}
