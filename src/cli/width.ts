/**
 * Widths of text in columns of a terminal.
 *
 * @module
 */
const NARROW = /^[\0-\u02ff]*$/
const COMBINING = /^\p{M}$/u
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u

/** The width in columns of a terminal. */
export function widthOf(text: string): number {
  if (NARROW.test(text)) return text.length
  let width = 0
  for (const character of text) width += widthOfCharacter(character)
  return width
}

/** The text, cut to a width; an ellipsis stands for the rest. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let result = ''
  let room = width - 1
  for (const character of text) {
    room -= widthOfCharacter(character)
    if (room < 0) break
    result += character
  }
  return width > 0 ? `${result}…` : ''
}

/** The text with blanks after it, or before it, up to a width. */
export function padded(text: string, width: number, isRight = false): string {
  const padding = ' '.repeat(Math.max(0, width - widthOf(text)))
  return isRight ? padding + text : text + padding
}

/** The text in pieces that are at most as wide as `width`. */
export function wrap(text: string, width: number): readonly string[] {
  if (widthOf(text) <= width) return [text]
  const lines: string[] = []
  let line = ''
  let room = width
  for (const character of text) {
    room -= widthOfCharacter(character)
    if (room < 0) {
      lines.push(line)
      line = ''
      room = width - widthOfCharacter(character)
    }
    line += character
  }
  return [...lines, line]
}

function widthOfCharacter(character: string): number {
  if (COMBINING.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}
