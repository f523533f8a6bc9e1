// What the page asks its server. The secret is in the page's own address, so relative addresses carry it.

async function checked(response) {
  if (response.ok) return response;
  let text = response.statusText;
  try { text = (await response.json()).error ?? text; } catch { /* not JSON: the status says it */ }
  throw new Error(text);
}

export async function ask(name, query = {}) {
  return checked(await fetch(`${name}?${new URLSearchParams(query)}`));
}

export async function askJson(name, query = {}) {
  return (await ask(name, query)).json();
}

export async function tell(name, record = {}) {
  const body = JSON.stringify(record);
  const headers = { "Content-Type": "application/json" };
  return (await checked(await fetch(name, { method: "POST", headers, body }))).json();
}
