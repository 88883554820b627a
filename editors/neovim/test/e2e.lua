--- The plugin in a real Neovim, on a sample project, with a real daemon.
--- usage: FOVEA_BIN=... FOVEA_HOME=... nvim --clean -l e2e.lua PROJECT
local here = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h')
package.path = here .. '/?.lua;' .. package.path
local start = require('child').start

local project = vim.fn.fnamemodify(_G.arg[1], ':p'):gsub('/$', '')
local binary = assert(vim.env.FOVEA_BIN, 'FOVEA_BIN is the program to test')
local setup = ('{ cmd = { %q, "lsp" } }'):format(binary)

local n_passed, failures = 0, {}
local function check(name, holds, seen)
  if holds then
    n_passed = n_passed + 1
    print('ok    ' .. name)
  else
    table.insert(failures, name)
    print('FAIL  ' .. name .. '  ' .. vim.inspect(seen))
  end
end

local function fovea(...)
  local done = vim.system({ binary, ... }, { text = true, cwd = project }):wait(20000)
  return (done.stdout or '') .. (done.stderr or ''), done.code
end

local function daemon_pid()
  local status = vim.json.decode((fovea('status', '--json')))
  return status.value.daemon.pid, status.value.daemon.n_clients
end

local function edit(child, path)
  child:lua('vim.cmd("silent edit! " .. ...)', path)
end

--- A new line in `show_expiring`, where `stock` is a value of a class in another file.
local function new_line(child)
  child:keys('<Esc>u<Esc>')
  child:lua('vim.cmd("silent edit!")')
  child:attached()
  child:lua([[vim.fn.cursor(vim.fn.search('stock = load_stock(path)', 'cw'), 1)]])
  child:keys('o')
  vim.wait(50)
end

local version = vim.version()
--- Keeps what the screen shows, for people to look at.
local function shot(child, name)
  local screen = child:screen()
  if vim.env.FOVEA_SHOTS then
    vim.fn.mkdir(vim.env.FOVEA_SHOTS, 'p')
    vim.fn.writefile(screen, ('%s/nvim-%d.%d-%s.txt'):format(vim.env.FOVEA_SHOTS, version.major, version.minor, name))
  end
  return table.concat(screen, '\n')
end
print(('Neovim %d.%d.%d, %s'):format(version.major, version.minor, version.patch, (fovea('--version')):gsub('%s+$', '')))

local child = start(project, setup)
edit(child, 'larder/cli.py')
check('the server attaches', child:attached() == true, child:lua('return test.messages'))

-- Ghost text, and every way to take it.
new_line(child)
child:type('stock.expi')
local ghost = child:ghost_like('^ring_within')
check('ghost text has a method of another file', ghost ~= nil, child:ghost_now())
local screen = shot(child, 'ghost')
check('and stands on the screen behind what was typed', screen:find('stock.expiring_within', 1, true) ~= nil, screen)
child:keys('r')
check('typing along keeps it', vim.wait(1000, function() return (child:ghost_now() or ''):find('^ing_within') ~= nil end, 5), child:ghost_now())
child:keys('<C-l>')
check('a word is accepted', child:wait([[vim.api.nvim_get_current_line():find('stock%.expiring_within$') ~= nil]], 1000), child:line())
child:keys('<Esc>u')
check('one undo takes back what was accepted', child:wait([[vim.api.nvim_get_current_line():find('stock%.expir$') ~= nil]], 1000), child:line())
child:keys('u')
vim.wait(100)

new_line(child)
child:type('stock.expi')
ghost = child:ghost()
child:keys('<Tab>')
local whole = '    stock.expi' .. (ghost or '?')
check('Tab accepts all of it', child:wait(('vim.api.nvim_get_current_line() == %q'):format(vim.split(whole, '\n')[1]), 1000), { child:line(), whole })
check('the cursor is behind it', child:lua([[return vim.fn.col('.') == vim.fn.col('$')]]), child:lua([[return vim.fn.getpos('.')]]))

new_line(child)
child:type('stock.expi')
child:ghost()
child:keys('<C-e>')
check('it can be dismissed', child:wait([[require('fovea.ghost_text').visible() == false]], 1000) and child:ghost_now() == nil, child:ghost_now())
child:keys('<Tab>')
check('Tab is a tab where nothing is shown', child:wait([[vim.api.nvim_get_current_line():find('expi%s+$') ~= nil]], 1000), child:line())

new_line(child)
child:type('stock.expi')
child:ghost()
child:keys('<Esc>')
check('leaving insert mode hides it', vim.wait(1000, function() return child:ghost_now() == nil end, 10), child:ghost_now())

-- Columns: two UTF-16 units and four bytes before the cursor.
new_line(child)
child:type('print("🥛é"); stock.expi')
check('ghost text behind characters beyond the first plane', child:ghost_like('^ring_within') ~= nil, child:ghost_now())
child:keys('<C-l>')
check('and accepted at the right column', child:wait([[vim.api.nvim_get_current_line():find('"🥛é"%); stock%.expiring_within$') ~= nil]], 1000), child:line())

-- A completion menu hides it: one thing at a time.
new_line(child)
child:type('stock.')
child:keys('<C-x><C-o>')
check('the menu lists members of the receiver', child:wait([[vim.iter(vim.fn.complete_info({ 'items' }).items):any(function(item) return item.word == 'expiring_within' end)]]), child:lua([[return vim.tbl_map(function(item) return item.word end, vim.fn.complete_info({ 'items' }).items)]]))
check('no ghost text under the menu', vim.wait(1000, function() return child:ghost_now() == nil end, 10), child:ghost_now())
child:keys('<C-e><Esc>')

-- A file with CRLF endings.
local crlf = table.concat(vim.fn.readfile(project .. '/larder/cli.py'), '\r\n') .. '\r\n'
vim.fn.writefile(vim.split(crlf, '\n'), project .. '/larder/dos.py', 'b')
child:keys('<Esc>')
child:lua('vim.cmd("silent! edit! larder/dos.py")')
check('CRLF is detected', child:lua('return vim.bo.fileformat') == 'dos', child:lua('return vim.bo.fileformat'))
child:attached()
child:lua([[vim.fn.cursor(vim.fn.search('stock = load_stock(path)', 'cw'), 1)]])
child:keys('o')
child:type('stock.expi')
check('ghost text in a CRLF file', child:ghost_like('^ring_within') ~= nil, child:ghost_now())
check('without carriage returns', not (child:ghost_now() or ''):find('\r'), child:ghost_now())
child:keys('<Tab>')
child:wait([[vim.api.nvim_get_current_line():find('expiring') ~= nil]], 1000)
child:keys('<Esc>')
vim.wait(50)
child:lua('vim.cmd("silent write")')
local written = table.concat(vim.fn.readfile(project .. '/larder/dos.py', 'b'), '\n')
check('saved with CRLF on every line', not written:gsub('\r\n', ''):find('[\r\n]') and written:find('stock.expiring_within', 1, true), nil)
vim.fn.delete(project .. '/larder/dos.py')

-- Commands.
edit(child, 'larder/cli.py')
child:attached()
child:lua('vim.cmd("Fovea search OutOfStock")')
check(':Fovea search offers places', child:wait('#test.choices > 0'), child:lua('return test.messages'))
check('and goes to the first', child:wait([[vim.fn.expand('%:t') == 'stock.py' and vim.api.nvim_get_current_line():find('class OutOfStock') ~= nil]]), { child:lua([[return vim.fn.expand('%')]]), child:line(), child:lua('return test.choices') })
edit(child, 'larder/cli.py')
child:attached()
new_line(child)
child:type('stock.expi')
child:ghost()
child:lua('vim.cmd("Fovea explain")')
local function shows(text)
  return ([[vim.bo.filetype == 'markdown' and table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n'):find(%q, 1, true) ~= nil]]):format(text)
end
-- The text is what was missing when the suggestion was made: the name from `.`, `e` or `expi` on.
check(':Fovea explain says what the suggestion comes from', child:wait(shows('ring_within')) and child:text():lower():find('stock') ~= nil, child:text())
child:keys('<Esc>q')
check('q closes it', child:wait([[vim.fn.expand('%:t') == 'cli.py']], 1000), child:lua([[return vim.fn.expand('%')]]))
child:lua('vim.cmd("Fovea explain")')
check('without a suggestion, what one would see', child:wait(shows('larder/stock.py')), child:text())
child:lua('vim.cmd.resize(18)')
screen = shot(child, 'explain')
check('the window shows rings and tokens', screen:find('| near-field |', 1, true) ~= nil and screen:find('of 1536 tokens', 1, true) ~= nil, screen)
child:keys('q')
child:wait([[vim.fn.expand('%:t') == 'cli.py']], 1000)
child:lua('test.messages = {}; vim.cmd("Fovea status")')
check(':Fovea status', child:wait([[(test.messages[1] or ''):find('files') ~= nil]]), child:lua('return test.messages'))
child:lua('test.messages = {}; vim.cmd("Fovea nonsense")')
check('an unknown action is named with the known ones', child:wait([[(test.messages[1] or ''):find('search') ~= nil]]), child:lua('return test.messages'))
child:lua('vim.cmd("checkhealth fovea")')
local health = child:wait([[vim.bo.filetype == 'checkhealth' and table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')]], 15000) or ''
check(':checkhealth finds no error', health:find('OK') ~= nil and health:find('ERROR') == nil and health:find('server for') ~= nil, health)
shot(child, 'health')
child:lua('vim.cmd("silent! bwipeout!")')
child:lua(('vim.cmd("helptags %s")'):format(vim.fn.fnameescape(vim.fn.fnamemodify(here, ':h') .. '/doc')))
check(':help fovea-mappings', pcall(child.lua, child, 'vim.cmd("help fovea-mappings")') and child:lua([[return vim.fn.expand('%:t')]]) == 'fovea.txt', nil)
child:lua('vim.cmd("helpclose")')
vim.fn.delete(vim.fn.fnamemodify(here, ':h') .. '/doc/tags')

edit(child, 'larder/cli.py')
child:attached()
local before = child:lua([[return vim.lsp.get_clients({ name = 'fovea' })[1].id]])
child:lua('vim.cmd("Fovea restart")')
check(':Fovea restart starts another server', child:wait(([[(function() local c = vim.lsp.get_clients({ name = 'fovea', bufnr = 0 }); return #c == 1 and c[1].id ~= %d end)()]]):format(before)), nil)
new_line(child)
child:type('stock.expi')
check('ghost text after a restart', child:ghost_like('^ring_within') ~= nil, child:ghost_now())

-- As a package of Neovim's own, without a plugin manager; and settings that are not known.
local pack = vim.fn.tempname()
vim.fn.mkdir(pack .. '/pack/any/opt', 'p')
vim.uv.fs_symlink(vim.fn.fnamemodify(here, ':h'), pack .. '/pack/any/opt/fovea')
local plain = vim.system({ vim.v.progpath, '--clean', '--headless', '-i', 'NONE', '-n', '--cmd', 'set packpath^=' .. pack,
  '+packadd fovea', "+lua require('fovea').setup()", "+lua io.stdout:write(vim.fn.exists(':Fovea'), ' ', tostring(pcall(require('fovea').setup, { colour = 1 })))", '+qall!' },
  { text = true, env = { FOVEA_TEST_SETUP = '' } }):wait(10000)
check('packadd and setup() are enough, and a wrong setting is an error', (plain.stdout or ''):find('2 false', 1, true) ~= nil, plain)
vim.fn.delete(pack, 'rf')
check('one command for all actions', child:lua([[return vim.fn.getcompletion('Fovea ', 'cmdline')]])[1] == 'explain', child:lua([[return vim.fn.getcompletion('Fovea ', 'cmdline')]]))
check('no mapping is made that nobody asked for', child:lua([[return vim.iter({ 'n', 'i', 'v' }):all(function(mode) return vim.iter(vim.api.nvim_get_keymap(mode)):all(function(map) return not (map.desc or ''):find('Fovea') end) end)]]), nil)

-- A second Neovim shares the daemon.
local second = start(project, setup)
edit(second, 'larder/planner.py')
check('a second Neovim attaches', second:attached() == true, nil)
second:keys('Go')
second:type('def due(stock: Stock): return stock.expi')
check('ghost text there', second:ghost_like('^ring_within') ~= nil, second:ghost_now())

local pid, n_clients = daemon_pid()
check('both on one daemon', n_clients >= 3, n_clients)

-- The same file in both, with different unsaved text: each has its own.
second:keys('<Esc>')
edit(second, 'larder/cli.py')
second:attached()
second:keys('ggO# one more line, so that every position differs<Esc>')
new_line(child)
child:type('stock.expi')
check('the same file in two windows: each completes its own text', child:ghost_like('^ring_within') ~= nil, child:ghost_now())
second:keys('<Esc>')

-- The daemon is killed while the user types. What is typed then is no part of an older suggestion.
new_line(child)
child:type('stock.fi')
local killed = vim.uv.hrtime()
vim.uv.kill(pid, 'sigkill')
child:type('nd')
local back, _, seen = child:ghost_like('^_item', 5000)
local waited = (vim.uv.hrtime() - killed) / 1e6
check('ghost text within 2 s after the daemon was killed', back ~= nil and waited < 2000, { seen, waited })
print(('      %.0f ms after it, two keys included'):format(waited))
check('a new daemon', daemon_pid() ~= pid, nil)
check('no message bothered the user', #child:lua('return vim.tbl_filter(function(m) return m:find("rror") end, test.messages)') == 0, child:lua('return test.messages'))

second:stop()
child:stop()
fovea('daemon', 'stop')
print(('%d passed, %d failed'):format(n_passed, #failures))
os.exit(#failures == 0 and 0 or 1)
