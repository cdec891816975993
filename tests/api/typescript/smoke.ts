// Calls a live server with the types of its OpenAPI document, and prints what it answered.
import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

const { SERVER = "", PK = "", FILE = "" } = process.env;
const client = createClient<paths>({ baseUrl: SERVER });
const path = { model: "testapp.picture", pk: PK };

const similar = await client.GET("/api/similar-images/{model}/{pk}/similar/", {
  params: { path, query: { limit: 1, mode: "similar", fold: true } },
});
if (!similar.data) throw new Error(similar.error.detail);
const matches: components["schemas"]["Match"][] = similar.data.results;
const scores: number[] = matches.map((match) => match.similarity);
const next: string | null = similar.data.next;
if (scores.length !== 1 || next === undefined) throw new Error("fields are missing");

const missing = await client.GET("/api/similar-images/{model}/{pk}/similar/", {
  params: { path: { ...path, pk: "999999" } },
});
const unknown = await client.GET("/api/similar-images/{model}/{pk}/similar/", {
  // @ts-expect-error the types know what parameters there are
  params: { path, query: { limt: 3 } },
});

const image = new Blob([await readFile(FILE)], { type: "image/png" });
const bodySerializer = (body: object) => {
  const form = new FormData();
  for (const [name, value] of Object.entries(body)) form.append(name, value instanceof Blob ? value : String(value));
  return form;
};
const search = await client.POST("/api/similar-images/search/", {
  body: { image: image as unknown as string, model: "testapp.picture", limit: 2, keep: true },
  bodySerializer,
});
const again = await client.POST("/api/similar-images/search/", {
  body: { image: search.data?.query.upload ?? "", model: "testapp.picture", limit: 1 },
  bodySerializer,
});

console.log(
  JSON.stringify({
    similar: matches.map((match) => match.pk),
    complete: similar.data.complete,
    missing: [missing.error?.status, missing.error?.detail],
    unknown: unknown.error?.errors,
    search: search.data?.results.map((match) => match.similarity),
    again: again.data?.results.map((match) => match.similarity),
  }),
);
