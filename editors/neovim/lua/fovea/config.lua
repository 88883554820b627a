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
  --- Pause after a keystroke before asking, in milliseconds (Neovim before 0.12; later ones have their own).
  debounce_ms = 75,
  --- Highlight group of ghost text.
  highlight = 'Comment',
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
