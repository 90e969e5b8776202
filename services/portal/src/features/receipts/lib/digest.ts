/** Whether the SHA-256 of a text in UTF-8 is the one given; null where the browser cannot tell (no HTTPS). */
export async function isIntact(sealed: { canonical: string; sha256: string }): Promise<boolean | null> {
  // Browsers have Web Crypto in secure contexts only, whatever its type says.
  const subtle = (globalThis.crypto as Crypto | undefined)?.subtle as SubtleCrypto | undefined;
  if (!subtle) return null;
  const digest = await subtle.digest("SHA-256", new TextEncoder().encode(sealed.canonical));
  return hex(new Uint8Array(digest)) === sealed.sha256;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
