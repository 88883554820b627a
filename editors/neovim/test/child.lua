--- Drives a second Neovim, embedded in this one, as a user with a keyboard would.
local M = {}

local here = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h')

--- Everything that is shown as ghost text in the current buffer, or nil.
local GHOST = [[(function()
  local id = vim.api.nvim_get_namespaces()['fovea.ghost_text']
  if not id then return nil end
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, id, 0, -1, { details = true })) do
    local text = mark[4].virt_text and mark[4].virt_text[1][1] or ''
    for _, line in ipairs(mark[4].virt_lines or {}) do text = text .. '\n' .. line[1][1] end
    return text
  end
end)()]]

local Child = {}
Child.__index = Child

--- Starts Neovim in `folder` with the plugin and the settings `setup` (Lua source of a table).
function M.start(folder, setup, environment)
  local child = setmetatable({ messages = {} }, Child)
  child.channel = vim.fn.jobstart({
    vim.v.progpath, '--clean', '-u', here .. '/init.lua', '--embed', '--headless', '-i', 'NONE', '-n',
  }, {
    rpc = true,
    cwd = folder,
    env = vim.tbl_extend('force', { FOVEA_TEST_SETUP = setup or '{}' }, environment or {}),
    on_stderr = function(_, lines)
      io.stderr:write(table.concat(lines, '\n'))
    end,
  })
  assert(child.channel > 0, 'cannot start ' .. vim.v.progpath)
  return child
end

function Child:lua(code, ...)
  return vim.rpcrequest(self.channel, 'nvim_exec_lua', code, { ... })
end

function Child:keys(keys)
  vim.rpcrequest(self.channel, 'nvim_input', keys)
end

--- One key after another, with a pause as between keystrokes.
function Child:type(text, pause_ms)
  for _, key in ipairs(vim.fn.split(text, '\\zs')) do
    self:keys(key == '<' and '<lt>' or key)
    vim.wait(pause_ms or 60)
  end
end

--- Waits until a Lua expression is true in the child; returns its last value, and how long it took.
function Child:wait(expression, timeout_ms)
  local value
  local started = vim.uv.hrtime()
  vim.wait(timeout_ms or 5000, function()
    value = self:lua('return ' .. expression)
    return value ~= nil and value ~= vim.NIL and value ~= false
  end, 10)
  return value ~= vim.NIL and value or nil, (vim.uv.hrtime() - started) / 1e6
end

function Child:ghost(timeout_ms)
  return self:wait(GHOST, timeout_ms)
end

function Child:ghost_now()
  local text = self:lua('return ' .. GHOST)
  return text ~= vim.NIL and text or nil
end

--- Waits until ghost text fits the Lua pattern.
function Child:ghost_like(pattern, timeout_ms)
  local text
  local started = vim.uv.hrtime()
  local fits = vim.wait(timeout_ms or 5000, function()
    text = self:ghost_now()
    return text ~= nil and text:find(pattern) ~= nil
  end, 10)
  return fits and text or nil, (vim.uv.hrtime() - started) / 1e6, text
end

function Child:line()
  return self:lua('return vim.api.nvim_get_current_line()')
end

function Child:text()
  return table.concat(self:lua('return vim.api.nvim_buf_get_lines(0, 0, -1, true)'), '\n')
end

function Child:attached(timeout_ms)
  return self:wait("#vim.lsp.get_clients({ bufnr = 0, name = 'fovea' }) == 1 and vim.lsp.get_clients({ bufnr = 0, name = 'fovea' })[1].initialized", timeout_ms)
end

--- The screen as text, drawn anew: one line for each row.
function Child:screen()
  return self:lua([[
    vim.cmd.redraw()
    local rows = {}
    for row = 1, vim.o.lines do
      local cells = {}
      for column = 1, vim.o.columns do
        cells[column] = vim.fn.screenstring(row, column)
      end
      rows[row] = (table.concat(cells):gsub('%s+$', ''))
    end
    return rows
  ]])
end

function Child:stop()
  pcall(vim.rpcnotify, self.channel, 'nvim_command', 'qall!')
  vim.fn.jobwait({ self.channel }, 2000)
  pcall(vim.fn.chanclose, self.channel)
end

return M
