import { useEffect, useState } from "react";

import { getSimilar } from "./api.js";

/** Return `{matches, error}` of a product; matches are null until they have arrived. */
export function useSimilar(pk, limit) {
  const [state, setState] = useState({ matches: null, error: null });
  useEffect(() => {
    const controller = new AbortController();
    setState({ matches: null, error: null });
    getSimilar(pk, { limit, signal: controller.signal })
      .then((matches) => setState({ matches, error: null }))
      .catch((error) => controller.signal.aborted || setState({ matches: [], error }));
    return () => controller.abort();
  }, [pk, limit]);
  return state;
}
