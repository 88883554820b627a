--- `:Fovea search|explain|status|suggest|restart`.
local M = {}

local function client_or_warn()
  local client = require('fovea.client').any()
  if not client then
    vim.notify('fovea: no server is running here; open a source file, or see :checkhealth fovea', vim.log.levels.WARN)
  end
  return client
end

--- Sends a request; `use` gets the result, an error is shown.
local function ask(client, method, params, use)
  client:request(method, params, function(err, result)
    if err then
      vim.notify('fovea: ' .. err.message, vim.log.levels.ERROR)
    else
      use(result ~= vim.NIL and result or nil)
    end
  end, 0)
end

local actions = {}

local function choose(client, query, hits)
  vim.ui.select(hits, {
    prompt = 'Fovea: ' .. query,
    kind = 'fovea',
    format_item = function(found)
      local path = vim.fn.fnamemodify(vim.uri_to_fname(found.place.uri), ':~:.')
      local name = found.hit.symbol or vim.trim(found.hit.text:match('[^\n]*') or '')
      return ('%s  %s:%d'):format(name, path, found.place.range.start.line + 1)
    end,
  }, function(found)
    if found then
      vim.lsp.util.show_document(found.place, client.offset_encoding, { focus = true })
    end
  end)
end

function actions.search(words)
  local client = client_or_warn()
  if not client then
    return
  end
  local query = table.concat(words, ' ')
  if query == '' then
    vim.ui.input({ prompt = 'Fovea search: ' }, function(typed)
      if typed and typed ~= '' then
        actions.search({ typed })
      end
    end)
    return
  end
  ask(client, 'fovea/search', { query = query }, function(result)
    if not result or #result.hits == 0 then
      vim.notify(("fovea: nothing found for '%s'"):format(query), vim.log.levels.INFO)
      return
    end
    choose(client, query, result.hits)
  end)
end

--- Opens a window with lines that nobody edits; `q` closes it.
local function show(title, lines)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].filetype = 'markdown'
  vim.bo[buf].modifiable = false
  vim.cmd('botright split')
  vim.api.nvim_win_set_buf(0, buf)
  pcall(vim.api.nvim_buf_set_name, buf, 'fovea://' .. title)
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buf, nowait = true, desc = 'Close' })
end

function actions.explain()
  local client = client_or_warn()
  if not client then
    return
  end
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  local current = require('fovea.ghost_text').current()
  params.suggestion = current and current.id
  ask(client, 'fovea/explain', params, function(result)
    if not result then
      vim.notify('fovea: nothing to explain here; the file is not indexed', vim.log.levels.INFO)
      return
    end
    vim.cmd.stopinsert()
    show('explain', require('fovea.explain').lines(result))
  end)
end

function actions.status()
  local client = client_or_warn()
  if client then
    ask(client, 'fovea/status', nil, function(status)
      vim.notify(require('fovea.explain').status(status))
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
      vim.notify(("fovea: no action '%s'; one of explain, restart, search, status, suggest"):format(command.fargs[1]), vim.log.levels.ERROR)
      return
    end
    action(vim.list_slice(command.fargs, 2))
  end, {
    nargs = '+',
    desc = 'Search, explain, status, suggestion, restart',
    complete = function(lead, line)
      if line:match('^%s*Fovea%s+%S+%s') then
        return {}
      end
      return vim.tbl_filter(function(name)
        return vim.startswith(name, lead)
      end, { 'explain', 'restart', 'search', 'status', 'suggest' })
    end,
  })
end

return M
