--- `:Fovea search|status|suggest|restart`.
local M = {}

local function client_or_warn()
  local client = require('fovea.client').any()
  if not client then
    vim.notify('fovea: no server is running here; open a source file, or see :checkhealth fovea', vim.log.levels.WARN)
  end
  return client
end

local actions = {}

function actions.search(words)
  local client = client_or_warn()
  if not client then
    return
  end
  local query = table.concat(words, ' ')
  client:request('workspace/symbol', { query = query }, function(err, symbols)
    if err or not symbols or #symbols == 0 then
      vim.notify(err and ('fovea: ' .. err.message) or ("fovea: nothing found for '" .. query .. "'"), vim.log.levels.INFO)
      return
    end
    vim.ui.select(symbols, {
      prompt = 'Fovea: ' .. query,
      format_item = function(symbol)
        local path = vim.fn.fnamemodify(vim.uri_to_fname(symbol.location.uri), ':~:.')
        return ('%s  %s:%d'):format(symbol.name, path, symbol.location.range.start.line + 1)
      end,
    }, function(symbol)
      if symbol then
        vim.lsp.util.show_document(symbol.location, client.offset_encoding, { focus = true })
      end
    end)
  end)
end

function actions.status()
  local client = client_or_warn()
  if client then
    client:request('fovea/status', { uri = vim.uri_from_fname(client.root_dir or vim.fn.getcwd()) }, function(err, status)
      vim.notify(err and ('fovea: ' .. err.message) or vim.inspect(status))
    end)
  end
end

function actions.suggest()
  require('fovea').suggest()
end

function actions.restart()
  require('fovea.client').restart()
end

function M.create()
  vim.api.nvim_create_user_command('Fovea', function(command)
    local action = actions[command.fargs[1]]
    if not action then
      vim.notify(("fovea: no action '%s'; one of search, status, suggest, restart"):format(command.fargs[1]), vim.log.levels.ERROR)
      return
    end
    action(vim.list_slice(command.fargs, 2))
  end, {
    nargs = '+',
    desc = 'Search, status, suggestion, restart',
    complete = function(lead)
      return vim.tbl_filter(function(name)
        return vim.startswith(name, lead)
      end, { 'restart', 'search', 'status', 'suggest' })
    end,
  })
end

return M
