import { useQuery } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";

export function useModels() {
  return useQuery({ queryKey: ["models"], queryFn: () => unwrap(api.GET("/api/v1/models")) });
}
