--- How long after a key a suggestion is drawn, and how long the plugin holds the editor's loop.
--- usage: FOVEA_BIN=... FOVEA_HOME=... nvim --clean -l latency.lua PROJECT [N_PLACES]
---
--- Lines of the project's own files are typed again in bursts, with a pause after each. Times are taken in
--- the Neovim that is typed into: from the last key it saw to the mark that draws the ghost text.
local here = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h')
package.path = here .. '/?.lua;' .. package.path
local start = require('child').start

local project = vim.fn.fnamemodify(_G.arg[1], ':p'):gsub('/$', '')
local n_places = tonumber(_G.arg[2] or '10')
local binary = assert(vim.env.FOVEA_BIN, 'FOVEA_BIN is the program to test')

--- Numbers that are the same in every run.
local state = 7
local function random(below)
  state = (state * 1103515 + 12345) % 4294967296
  return math.floor(state / 256) % below
end

local function quantile(values, share)
  local sorted = vim.deepcopy(values)
  table.sort(sorted)
  return sorted[math.min(#sorted, math.floor(share * #sorted) + 1)] or 0 / 0
end

local function show(values)
  return ('n %d, p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms'):format(
    #values, quantile(values, 0.5), quantile(values, 0.95), quantile(values, 0.99), quantile(values, 1))
end

local function places()
  local files = {}
  for name, kind in vim.fs.dir(project, { depth = 12 }) do
    local path = project .. '/' .. name
    local size = kind == 'file' and name:find('%.[prtg][yso]$') and vim.fn.getfsize(path) or 0
    if size > 0 and size < 200000 and not name:find('/%.') then
      files[#files + 1] = { path = path, size = size }
    end
  end
  table.sort(files, function(a, b)
    return a.size == b.size and a.path < b.path or a.size > b.size
  end)
  local found = {}
  for index = 1, math.min(12, #files) do
    local fit = {}
    for line, text in ipairs(vim.fn.readfile(files[index].path)) do
      if text:find('^%s%s%s%s+%w.*[.(]') and #text >= 24 and #text <= 90 and not text:find('[^\32-\126]') then
        fit[#fit + 1] = { path = files[index].path, line = line, text = text }
      end
    end
    for _ = 1, 2 do
      if #fit > 0 then
        found[#found + 1] = table.remove(fit, random(#fit) + 1)
      end
    end
  end
  local chosen = {}
  while #chosen < n_places and #found > 0 do
    chosen[#chosen + 1] = table.remove(found, random(#found) + 1)
  end
  return chosen
end

--- In the child: notes keys, marks and gaps of the loop, and the time inside functions of the plugin.
local WATCH = [[
  local log = { keys = {}, drawn = {}, gaps = {}, ours = {} }
  _G.fovea_log = log
  vim.on_key(function() log.keys[#log.keys + 1] = vim.uv.hrtime() end)
  local ghost = require('fovea.ghost_text')
  ghost.on_draw = function() log.drawn[#log.drawn + 1] = vim.uv.hrtime() end
  local last = vim.uv.hrtime()
  local timer = vim.uv.new_timer()
  timer:start(1, 1, function()
    local now = vim.uv.hrtime()
    log.gaps[#log.gaps + 1] = (now - last) / 1e6
    last = now
  end)
  return true
]]

--- Before the plugin is set up: every callback of its files is timed.
local TIME = [[
  local function is_ours(f)
    return type(f) == 'function' and debug.getinfo(f, 'S').source:find('lua/fovea/', 1, true) ~= nil
  end
  _G.fovea_ours = {}
  local function timed(f)
    if not is_ours(f) then return f end
    return function(...)
      local from = vim.uv.hrtime()
      local results = vim.F.pack_len(f(...))
      _G.fovea_ours[#_G.fovea_ours + 1] = (vim.uv.hrtime() - from) / 1e6
      return vim.F.unpack_len(results)
    end
  end
  local create = vim.api.nvim_create_autocmd
  vim.api.nvim_create_autocmd = function(events, options)
    if options.callback then options.callback = timed(options.callback) end
    return create(events, options)
  end
  local wrap, schedule = vim.schedule_wrap, vim.schedule
  vim.schedule_wrap = function(f) return wrap(timed(f)) end
  vim.schedule = function(f) return schedule(timed(f)) end
  local Client = require('vim.lsp.client')
  local request = Client.request
  Client.request = function(self, method, params, handler, buf)
    return request(self, method, params, timed(handler), buf)
  end
]]

local function run(name, is_on)
  local settings = ('{ cmd = { %q, "lsp" }, filetypes = %s }'):format(binary, is_on and 'nil' or '{ "none" }')
  local child = start(project, settings, { FOVEA_TEST_BEFORE = TIME })
  state = 7
  local first, later, n_none, server_kb = {}, {}, 0, 0
  local chosen = places()
  child:lua('vim.cmd("silent edit " .. ...)', vim.fn.fnameescape(chosen[1].path))
  if is_on then
    assert(child:attached(20000), 'the server does not attach')
    vim.system({ binary, 'sync' }, { cwd = project }):wait(60000)
  end
  child:lua(WATCH)
  for _, place in ipairs(chosen) do
    child:lua('vim.cmd("silent edit! " .. ...)', vim.fn.fnameescape(place.path))
    if is_on then
      child:attached(5000)
    end
    local indent = #place.text:match('^%s*')
    child:lua('vim.api.nvim_win_set_cursor(0, { ..., 0 })', place.line)
    child:lua('vim.bo.indentexpr, vim.bo.autoindent = "", false')
    child:lua('vim.api.nvim_set_current_line((" "):rep(...))', indent)
    child:keys('A')
    vim.wait(1500)
    local column, burst = indent, 0
    while column < #place.text do
      child:lua('local log = _G.fovea_log; log.keys, log.drawn = {}, {}')
      local n_keys = math.min(3 + random(6), #place.text - column)
      for n = 1, n_keys do
        column = column + 1
        local key = place.text:sub(column, column)
        child:keys(key == '<' and '<lt>' or key)
        if n < n_keys then
          vim.wait(60 + random(120))
        end
      end
      local log
      vim.wait(is_on and 3000 or 200, function()
        log = child:lua('return { _G.fovea_log.keys, _G.fovea_log.drawn, require("fovea.ghost_text").visible() }')
        local key, drawn = log[1][#log[1]], log[2][#log[2]]
        return #log[1] >= n_keys and drawn ~= nil and drawn > key and log[3]
      end, 20)
      local key, drawn = log[1][#log[1]], log[2][#log[2]]
      if drawn and drawn > key and log[3] then
        table.insert(burst == 0 and first or later, (drawn - key) / 1e6)
      else
        n_none = n_none + 1
      end
      burst = burst + 1
      vim.wait(200 + random(300))
    end
    child:keys('<Esc>')
    child:lua('vim.cmd("silent edit!")')
  end
  local gaps, ours = child:lua('return _G.fovea_log.gaps'), child:lua('return _G.fovea_ours')
  if is_on then
    for _, pid in ipairs(vim.api.nvim_get_proc_children(vim.fn.jobpid(child.channel))) do
      local status = table.concat(vim.fn.readfile(('/proc/%d/status'):format(pid)), '\n')
      server_kb = math.max(server_kb, tonumber(status:match('VmHWM:%s+(%d+)')) or 0)
    end
  end
  child:stop()
  if is_on then
    local all = vim.list_extend(vim.deepcopy(first), later)
    print(('%s: key to ghost text, first burst in a place: %s'):format(name, show(first)))
    print(('%s: key to ghost text, later bursts: %s'):format(name, show(later)))
    print(('%s: all: %s; bursts without one: %d'):format(name, show(all), n_none))
    print(('%s: callbacks of the plugin: %s'):format(name, show(ours)))
    print(('%s: memory of the server process: %.1f MB'):format(name, server_kb / 1024))
  end
  print(('%s: gaps of the loop, looked at every millisecond: %s'):format(name, show(gaps)))
end

local version = vim.version()
print(('Neovim %d.%d.%d'):format(version.major, version.minor, version.patch))
run('with Fovea', true)
run('without', false)
vim.system({ binary, 'daemon', 'stop' }):wait(5000)
os.exit(0)
