import { useQuery } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { isIntact } from "../lib/digest";

/** The receipt of one of the user's own answers, and whether its text has the digest that it says. */
export function useReceipt(answer_id: string) {
  return useQuery({
    queryKey: ["receipt", answer_id],
    // A receipt never changes.
    staleTime: Infinity,
    queryFn: async () => {
      const sealed = await unwrap(
        api.GET("/api/v1/answers/{answer_id}/receipt", { params: { path: { answer_id } } }),
      );
      return { ...sealed, isIntact: await isIntact(sealed) };
    },
  });
}
