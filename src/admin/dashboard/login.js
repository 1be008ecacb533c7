// Asks for the token, which becomes a cookie that scripts cannot read. It is never part of an address.

import { at, element } from "./dom.js";

/** Opens the dialog; the page begins anew once the token was right. */
export function login() {
  const dialog = at("dialog");
  if (dialog.open) return;
  const alert = element("p", { role: "alert", class: "alert" });
  const form = element("form", {},
    element("h2", { id: "dialog-title" }, "This Cyan asks for a token"),
    element("label", {}, "Token", element("input", { name: "token", type: "password", autocomplete: "current-password", required: true })),
    alert, element("div", { class: "buttons" }, element("button", { class: "filled" }, "Enter")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = JSON.stringify({ token: new FormData(form).get("token") });
    const answer = await fetch("/dashboard/session", { method: "POST", headers: { "content-type": "application/json" }, body });
    if (answer.ok) location.reload();
    else alert.textContent = "That is not the token.";
  });
  dialog.replaceChildren(form);
  dialog.showModal();
}
