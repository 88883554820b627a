--- Ghost text with extmarks: one suggestion at the cursor, hidden as soon as it does not fit.
---
--- The same code serves every Neovim from 0.10 on. Neovim 0.12 has ghost text of its own
--- (`vim.lsp.inline_completion`), which waits 200 ms after each key, never cancels and takes whole
--- suggestions only; `native = true` uses it nevertheless.
local config = require('fovea.config')

local M = {}

local namespace = vim.api.nvim_create_namespace('fovea.ghost_text')

--- What is shown: { buf, row, col, text, id, command } (row and col zero-based, bytes), or nil.
local shown = nil
--- The request under way: { client, id, buf }, or nil.
local pending = nil
--- When the key that led to the request was seen, for |fovea-measure|.
local asked_at = nil

local function clear(buf)
  if vim.api.nvim_buf_is_valid(buf) then
    vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  end
end

function M.hide()
  if shown then
    clear(shown.buf)
    shown = nil
  end
end

function M.visible()
  return shown ~= nil
end

--- What is shown, for `:Fovea explain`: { text, id }, or nil.
function M.current()
  return shown and { text = shown.text, id = shown.id }
end

local function cancel()
  if pending then
    pending.client:cancel_request(pending.id)
    pending = nil
  end
end

local function draw(next)
  clear(next.buf)
  local lines = vim.split(next.text, '\n', { plain = true })
  local below = {}
  for index = 2, #lines do
    -- Tabs in virtual text are drawn as ^I.
    local spaces = (' '):rep(vim.bo[next.buf].tabstop)
    below[#below + 1] = { { (lines[index]:gsub('\t', spaces)), config.values.highlight } }
  end
  vim.api.nvim_buf_set_extmark(next.buf, namespace, next.row, next.col, {
    virt_text = { { lines[1], config.values.highlight } },
    virt_text_pos = 'inline',
    virt_lines = #below > 0 and below or nil,
    hl_mode = 'combine',
  })
  shown = next
end

--- Where the cursor of the current window is, zero-based.
local function cursor()
  local at = vim.api.nvim_win_get_cursor(0)
  return at[1] - 1, at[2]
end

local function is_inserting(buf)
  return vim.api.nvim_get_current_buf() == buf and vim.startswith(vim.api.nvim_get_mode().mode, 'i')
end

--- The text to insert at the cursor for an item whose range may begin before it.
local function text_at_cursor(item, buf, row, col, encoding)
  local text = type(item.insertText) == 'table' and item.insertText.value or item.insertText
  -- A buffer's lines end with its file format, whatever it is.
  text = text:gsub('\r\n', '\n')
  if not item.range then
    return text
  end
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  local start = vim.str_byteindex(line, encoding, item.range.start.character, false)
  local typed = line:sub(start + 1, col)
  if item.range.start.line == row and vim.startswith(text, typed) then
    return text:sub(#typed + 1)
  end
  return nil
end

--- Asks the server. `kind`: 'automatic' or 'invoked'.
function M.request(kind)
  cancel()
  local buf = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ name = 'fovea', bufnr = buf })[1]
  if not client or not client.initialized then
    return
  end
  local tick = vim.api.nvim_buf_get_changedtick(buf)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind == 'invoked' and 1 or 2 }
  local this
  local sent, id = client:request('textDocument/inlineCompletion', params, function(err, result)
    if pending == this then
      pending = nil
    end
    -- An answer to text that has changed since is never shown.
    if err or not result or not vim.api.nvim_buf_is_valid(buf) or tick ~= vim.api.nvim_buf_get_changedtick(buf) then
      return
    end
    -- One thing at a time: the menu was there first.
    if not is_inserting(buf) or vim.fn.pumvisible() == 1 then
      return
    end
    local item = (result.items or result)[1]
    local row, col = cursor()
    local text = item and text_at_cursor(item, buf, row, col, client.offset_encoding)
    M.hide()
    if text and text ~= '' then
      local command = item.command
      local number = command and command.arguments and command.arguments[1]
      draw({ buf = buf, row = row, col = col, text = text, id = number, client = client })
      if M.on_draw then
        M.on_draw(asked_at)
      end
    end
  end, buf)
  if sent then
    this = { client = client, id = id }
    pending = this
  end
end

--- Lets the server read the context of the place where the cursor is.
local function note_cursor(buf)
  local client = vim.lsp.get_clients({ name = 'fovea', bufnr = buf })[1]
  if client and client.initialized and vim.api.nvim_get_current_buf() == buf then
    client:notify('fovea/cursor', vim.lsp.util.make_position_params(0, client.offset_encoding))
  end
end

--- Keeps the suggestion while the user types along it; returns false if it no longer fits.
local function follow(buf)
  if not shown or shown.buf ~= buf then
    return false
  end
  local row, col = cursor()
  if row ~= shown.row or col <= shown.col then
    return false
  end
  local line = vim.api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
  local typed = line:sub(shown.col + 1, col)
  if not vim.startswith(shown.text, typed) or #typed >= #shown.text then
    return false
  end
  draw(vim.tbl_extend('force', shown, { col = col, text = shown.text:sub(#typed + 1) }))
  return true
end

--- The part of `text` that is taken.
local function part_of(text, part)
  if part == 'word' then
    return text:match('^%s*[%w_\128-\255]+') or text:match('^%s*[^%w_%s]+') or text
  elseif part == 'line' then
    return text:match('^\n?[^\n]*')
  end
  return text
end

--- Inserts the suggestion, or its first word or line. Returns false if none is shown.
function M.accept(part)
  if not shown then
    return false
  end
  local row, col = cursor()
  if shown.buf ~= vim.api.nvim_get_current_buf() or row ~= shown.row or col ~= shown.col then
    M.hide()
    return false
  end
  local taking = shown
  local taken = part_of(taking.text, part)
  M.hide()
  cancel()
  -- Mappings with <expr> may not change text; do it right after.
  vim.schedule(function()
    if not vim.api.nvim_buf_is_valid(taking.buf) or not is_inserting(taking.buf) then
      return
    end
    -- One undo takes back the accepted text and leaves what was typed.
    vim.go.undolevels = vim.go.undolevels
    local lines = vim.split(taken, '\n', { plain = true })
    vim.api.nvim_buf_set_text(taking.buf, row, col, row, col, lines)
    local last_col = #lines == 1 and col + #taken or #lines[#lines]
    vim.api.nvim_win_set_cursor(0, { row + #lines, last_col })
    local rest = taking.text:sub(#taken + 1)
    if rest ~= '' then
      draw(vim.tbl_extend('force', taking, { row = row + #lines - 1, col = last_col, text = rest }))
      return
    end
    if taking.id then
      taking.client:notify('fovea/accepted', { suggestion = taking.id })
    end
    if config.values.auto_suggest then
      -- What comes next is asked for at once.
      asked_at = vim.uv.hrtime()
      M.request('automatic')
    end
  end)
  return true
end

--- Follows typing in `buf`. Attaching twice is harmless.
function M.attach(buf)
  local group = vim.api.nvim_create_augroup('fovea.ghost_text.' .. buf, { clear = true })
  local timer = assert(vim.uv.new_timer())
  local ask = vim.schedule_wrap(function()
    if is_inserting(buf) and vim.fn.pumvisible() == 0 then
      M.request('automatic')
    end
  end)
  vim.api.nvim_create_autocmd('TextChangedI', {
    group = group,
    buffer = buf,
    callback = function()
      local row, col = cursor()
      if shown and shown.buf == buf and row == shown.row and col == shown.col then
        -- Drawn by accepting a part.
        return
      end
      asked_at = vim.uv.hrtime()
      if follow(buf) then
        if M.on_draw then
          M.on_draw(asked_at)
        end
        return
      end
      M.hide()
      if config.values.auto_suggest then
        timer:start(config.values.debounce_ms, 0, ask)
      end
    end,
  })
  vim.api.nvim_create_autocmd('CursorMovedI', {
    group = group,
    buffer = buf,
    callback = function()
      local row, col = cursor()
      if shown and (shown.buf ~= buf or row ~= shown.row or col < shown.col) then
        M.hide()
        cancel()
      end
    end,
  })
  vim.api.nvim_create_autocmd({ 'CursorMoved', 'InsertEnter' }, {
    group = group,
    buffer = buf,
    callback = function()
      note_cursor(buf)
    end,
  })
  vim.api.nvim_create_autocmd('CompleteChanged', { group = group, buffer = buf, callback = M.hide })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    buffer = buf,
    callback = function()
      timer:stop()
      cancel()
      M.hide()
    end,
  })
  local detach = function()
    if not timer:is_closing() then
      timer:stop()
      timer:close()
    end
  end
  vim.api.nvim_create_autocmd('BufWipeout', {
    group = group,
    buffer = buf,
    callback = function()
      detach()
      pcall(vim.api.nvim_del_augroup_by_id, group)
    end,
  })
  -- Attached again, or the server is gone: the old timer goes with its group.
  M.detach(buf)
  M.attached[buf] = detach
end

--- Functions that stop following, by buffer.
M.attached = {}

function M.detach(buf)
  local detach = M.attached[buf]
  M.attached[buf] = nil
  if detach then
    detach()
  end
end

return M
