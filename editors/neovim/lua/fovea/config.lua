--- Settings and their defaults; the help file documents each.
local M = {}

M.defaults = {
  --- Command that starts the language server.
  cmd = { 'fovea', 'lsp' },
  filetypes = {
    'rust', 'python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact', 'go', 'c', 'cpp', 'java',
  },
  root_markers = { '.git', 'Cargo.toml', 'pyproject.toml', '.foveaignore' },
  --- Ask for ghost text while typing. `false`: only `:Fovea suggest` asks.
  auto_suggest = true,
  --- Pause after a keystroke before asking, in milliseconds. The server adds its own while keys come fast.
  debounce_ms = 10,
  --- Highlight group of ghost text.
  highlight = 'Comment',
  --- Neovim 0.12's own ghost text instead of this plugin's: slower, and without words and lines.
  native = false,
  --- Where another language server knows the language, keep to ghost text and search.
  yield_to_peers = true,
  --- Passed to the server: features, preset, budgetTokens, maxTokens (docs/lsp-extensions.md).
  server = vim.empty_dict(),
}

M.values = vim.deepcopy(M.defaults)

--- Merges `user` over the defaults; an unknown name is an error that says so.
function M.set(user)
  for name in pairs(user or {}) do
    if M.defaults[name] == nil then
      error(("fovea: unknown setting '%s'; see :help fovea-settings"):format(name))
    end
  end
  M.values = vim.tbl_deep_extend('force', vim.deepcopy(M.defaults), user or {})
end

return M
