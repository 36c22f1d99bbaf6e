import { readFileSync } from 'node:fs'
import process from 'node:process'

/**
 * The most memory that this process has had, in MB.
 *
 * ru_maxrss outlives execve(2): it starts from what the parent had. VmHWM is of this program alone.
 */
export function peakMB() {
  try {
    const status = readFileSync('/proc/self/status', 'utf8')
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)[1]) / 1024
  } catch {
    return process.resourceUsage().maxRSS / 1024
  }
}
