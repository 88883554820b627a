--- The language client: one per root, started by file type.
local config = require('fovea.config')
local ghost_text = require('fovea.ghost_text')

local M = {}

local function capabilities()
  local made = vim.lsp.protocol.make_client_capabilities()
  -- Neovim before 0.12 does not know the request; this plugin does.
  made.textDocument.inlineCompletion = made.textDocument.inlineCompletion or { dynamicRegistration = false }
  return made
end

--- The client attached to `buf`, if any.
function M.get(buf)
  return vim.lsp.get_clients({ name = 'fovea', bufnr = buf or 0 })[1]
end

--- Any running client: for questions about the workspace from a buffer of another kind.
function M.any()
  return M.get(0) or vim.lsp.get_clients({ name = 'fovea' })[1]
end

function M.enable()
  local group = vim.api.nvim_create_augroup('fovea', { clear = true })
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    callback = function(event)
      local attached = vim.lsp.get_client_by_id(event.data.client_id)
      if attached and attached.name == 'fovea' then
        ghost_text.attach(event.buf)
      end
    end,
  })
  local start = function(buf)
    if vim.bo[buf].buftype ~= '' then
      return
    end
    vim.lsp.start({
      name = 'fovea',
      cmd = config.values.cmd,
      root_dir = vim.fs.root(buf, config.values.root_markers) or vim.fn.getcwd(),
      capabilities = capabilities(),
    }, { bufnr = buf })
  end
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    pattern = config.values.filetypes,
    callback = function(event)
      start(event.buf)
    end,
  })
  -- Buffers that were there before the plugin was loaded.
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(buf) and vim.tbl_contains(config.values.filetypes, vim.bo[buf].filetype) then
      start(buf)
    end
  end
end

--- Stops every client and starts one for the current buffer.
function M.restart()
  for _, running in ipairs(vim.lsp.get_clients({ name = 'fovea' })) do
    running:stop()
  end
  vim.defer_fn(M.enable, 200)
end

return M
