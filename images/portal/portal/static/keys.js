// Security keys and passkeys: calls Kratos' functions, which an inline handler may not do under our policy.
document.querySelectorAll("[data-click]").forEach((button) => {
  button.addEventListener("click", () => window[button.dataset.click]());
});
window.addEventListener("load", () => {
  document.querySelectorAll("[data-load]").forEach((field) => window[field.dataset.load]());
});
