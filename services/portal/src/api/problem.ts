/** What an RFC 9457 `application/problem+json` body says, as the platform writes it. */
interface ProblemBody {
  title: string;
  status: number;
  detail: string;
  code: string;
  remedy: string;
  login_url?: string;
}

/** An error that has a stable code and a remedy; the page shows both. `status` 0: nothing answered. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly remedy: string,
    /** Where to sign in again, if the session is good but too old or too weak for this. */
    readonly loginUrl?: string,
  ) {
    super(detail);
  }
}

function isProblemBody(body: unknown): body is ProblemBody {
  return typeof body === "object" && body !== null && "code" in body && "detail" in body;
}

/** Turn what the server said, problem+json or not, into a `ProblemError`. */
export function toProblem(status: number, body: unknown): ProblemError {
  if (!isProblemBody(body))
    return new ProblemError(status, status === 401 ? "not_signed_in" : "internal", "", "");
  return new ProblemError(
    status,
    String(body.code),
    String(body.detail),
    String(body.remedy ?? ""),
    body.login_url,
  );
}

/** Read a failed response. */
export async function problemOf(response: Response): Promise<ProblemError> {
  const text = await response.text();
  try {
    return toProblem(response.status, JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return toProblem(response.status, null);
    throw error;
  }
}

/** An exception of `fetch`, as a problem; `fetch` rejects with `TypeError` when nothing answers. */
export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof TypeError) return new ProblemError(0, "network", "", "");
  return new ProblemError(0, "internal", error instanceof Error ? error.message : "", "");
}

export function isSignedOut(error: unknown): boolean {
  return error instanceof ProblemError && error.status === 401 && error.loginUrl === undefined;
}
