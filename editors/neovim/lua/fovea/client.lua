--- The language client: one per root, started by file type.
local config = require('fovea.config')
local ghost_text = require('fovea.ghost_text')

local M = {}

--- Languages for which another server runs here: { [language id] = true }.
local peers = {}

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

--- What the server is told, at its start and when it changes.
local function options()
  return vim.tbl_extend('force', vim.deepcopy(config.values.server), {
    peerLanguages = config.values.yield_to_peers and vim.tbl_keys(peers) or {},
  })
end

--- Where another server knows the language, ours keeps to ghost text and search.
local function note_peer(client, buf)
  if not client:supports_method('textDocument/definition') then
    return
  end
  local language = vim.bo[buf].filetype
  if not peers[language] then
    peers[language] = true
    for _, ours in ipairs(vim.lsp.get_clients({ name = 'fovea' })) do
      ours:notify('workspace/didChangeConfiguration', { settings = { fovea = options() } })
    end
  end
end

local function start(buf)
  if vim.bo[buf].buftype ~= '' or not vim.tbl_contains(config.values.filetypes, vim.bo[buf].filetype) then
    return
  end
  vim.lsp.start({
    name = 'fovea',
    cmd = config.values.cmd,
    root_dir = vim.fs.root(buf, config.values.root_markers) or vim.fn.getcwd(),
    capabilities = capabilities(),
    init_options = options(),
    flags = { debounce_text_changes = 20 },
  }, { bufnr = buf })
end

local function start_all()
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(buf) then
      start(buf)
    end
  end
end

function M.enable()
  local group = vim.api.nvim_create_augroup('fovea', { clear = true })
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    callback = function(event)
      local attached = vim.lsp.get_client_by_id(event.data.client_id)
      if not attached then
        return
      end
      if attached.name ~= 'fovea' then
        note_peer(attached, event.buf)
      elseif config.values.native and vim.lsp.inline_completion then
        vim.lsp.inline_completion.enable(true, { bufnr = event.buf })
      else
        ghost_text.attach(event.buf)
      end
    end,
  })
  vim.api.nvim_create_autocmd('LspDetach', {
    group = group,
    callback = function(event)
      local detached = vim.lsp.get_client_by_id(event.data.client_id)
      if detached and detached.name == 'fovea' then
        ghost_text.hide()
        ghost_text.detach(event.buf)
      end
    end,
  })
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    pattern = config.values.filetypes,
    callback = function(event)
      start(event.buf)
    end,
  })
  -- Buffers that were there before the plugin was loaded.
  start_all()
end

--- Stops every client and starts new ones when the old ones are gone.
function M.restart()
  local running = vim.lsp.get_clients({ name = 'fovea' })
  for _, client in ipairs(running) do
    client:stop()
  end
  local tries = 0
  local function again()
    tries = tries + 1
    local gone = vim.iter(running):all(function(client)
      return client:is_stopped()
    end)
    if gone then
      start_all()
    elseif tries < 40 then
      -- A server that does not end when asked is ended.
      if tries == 20 then
        for _, client in ipairs(running) do
          client:stop(true)
        end
      end
      vim.defer_fn(again, 50)
    else
      vim.notify('fovea: the old server does not stop; see :checkhealth fovea', vim.log.levels.ERROR)
    end
  end
  again()
end

return M
