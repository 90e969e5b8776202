const READER = /^(user:.{1,200}|group:.{1,200}|everyone)$/;

/** Whether a text is an ACL token: `user:SUB`, `group:NAME` or `everyone`. */
export function isReader(text: string): boolean {
  return READER.test(text);
}
