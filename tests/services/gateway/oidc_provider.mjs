// An OpenID provider that is not ours (npm `oidc-provider`), under Keycloak's paths, for the end-to-end tests.
// Arguments: the folder with node_modules, the gateway's address. Prints its own address when it is ready.

import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, gateway] = process.argv.slice(2);
const library = pathToFileURL(join(folder, "node_modules/oidc-provider/lib/index.js"));
const { default: Provider, interactionPolicy } = await import(library);

const REALM = "/realms/zhiku";
const PROTOCOL = "/protocol/openid-connect";
const disabled = new Set();

const policy = interactionPolicy.base();
// As Keycloak does: a class of authentication that the session does not have is asked for.
policy.get("login").checks.add(
  new interactionPolicy.Check("acr_values_not_met", "a stronger login is asked for", "login_required", (ctx) => {
    const wanted = ctx.oidc.params.acr_values?.split(" ") ?? [];
    return wanted.length > 0 && !wanted.includes(ctx.oidc.acr);
  }),
);

function service(clientId) {
  return {
    client_id: clientId,
    client_secret: "a-secret-of-a-service-in-a-test",
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
  };
}

function build(issuer) {
  return new Provider(issuer, {
    clients: [
      {
        client_id: "zhiku-portal",
        client_secret: "a-secret-of-the-portal-in-a-test",
        redirect_uris: [`${gateway}/api/v1/auth/callback`],
        post_logout_redirect_uris: [`${gateway}/`],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        backchannel_logout_uri: `${gateway}/oidc/backchannel-logout`,
        backchannel_logout_session_required: true,
      },
      service("svc-crawler"),
      service("svc-stranger"),
      service("svc-elsewhere"),
    ],
    acrValues: ["1", "2"],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email"], acr: null, auth_time: null },
    // As Keycloak does: the profile stands in the ID token.
    conformIdTokenClaims: false,
    cookies: { keys: ["a-key-of-cookies-in-a-test"] },
    features: {
      backchannelLogout: { enabled: true },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_ctx, client) => (client?.clientId.startsWith("svc-") ? "urn:zhiku:api" : undefined),
        getResourceServerInfo: (_ctx, _resource, client) => ({
          scope: "",
          audience: client.clientId === "svc-elsewhere" ? "payroll" : "zhiku-api",
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
        useGrantedResource: () => true,
      },
      revocation: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    // The library refuses to call this machine, where the gateway under test is.
    fetch: (url, { dispatcher: _dispatcher, ...options }) => globalThis.fetch(url, options),
    findAccount: (_ctx, id) =>
      disabled.has(id)
        ? undefined
        : {
            accountId: id,
            claims: () => ({ sub: id, name: `Name of ${id}`, preferred_username: id, email: `${id}@example.com` }),
          },
    interactions: { policy, url: (_ctx, interaction) => `${REALM}/interaction/${interaction.uid}` },
    issueRefreshToken: () => true,
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope("openid profile email");
      await grant.save();
      return grant;
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    routes: {
      authorization: `${PROTOCOL}/auth`,
      end_session: `${PROTOCOL}/logout`,
      jwks: `${PROTOCOL}/certs`,
      revocation: `${PROTOCOL}/revoke`,
      token: `${PROTOCOL}/token`,
      userinfo: `${PROTOCOL}/userinfo`,
    },
    ttl: { AccessToken: 60, ClientCredentials: 60, IdToken: 60, Session: 3600, Grant: 3600, Interaction: 600, RefreshToken: 3600 },
  });
}

async function formOf(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return new URLSearchParams(body);
}

let provider;
let callback;
const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://here");
  if (pathname === "/control/disable") {
    disabled.add((await formOf(request)).get("user"));
    response.end();
  } else if (pathname.startsWith(`${REALM}/interaction/`)) {
    if (request.method === "GET") {
      const { prompt } = await provider.interactionDetails(request, response);
      response.end(JSON.stringify({ prompt: prompt.name, reasons: prompt.reasons }));
      return;
    }
    const form = await formOf(request);
    const login = { accountId: form.get("login"), acr: form.get("acr"), amr: ["pwd"] };
    await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  } else {
    request.originalUrl = request.url;
    request.url = request.url.slice(REALM.length) || "/";
    callback(request, response);
  }
});
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}${REALM}`;
  provider = build(issuer);
  callback = provider.callback();
  console.log(issuer);
});
