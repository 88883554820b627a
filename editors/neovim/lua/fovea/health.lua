--- `:checkhealth fovea`.
local M = {}

function M.check()
  local config = require('fovea.config')
  vim.health.start('fovea')
  if vim.fn.has('nvim-0.10') == 0 then
    vim.health.error('Neovim 0.10 or later is needed')
    return
  end
  vim.health.ok('Neovim ' .. tostring(vim.version()))
  local program = config.values.cmd[1]
  if vim.fn.executable(program) == 0 then
    vim.health.error(("'%s' is not executable"):format(program), {
      'install it with: cargo install --path daemon',
      "or set the full path: require('fovea').setup({ cmd = { '/path/to/fovea', 'lsp' } })",
    })
    return
  end
  vim.health.ok(program .. ' is executable')
  local doctor = vim.system({ program, 'doctor' }, { text = true }):wait(10000)
  local say = doctor.code == 0 and vim.health.ok or vim.health.warn
  say('fovea doctor: ' .. vim.trim((doctor.stdout or '') .. (doctor.stderr or '')))
  local clients = vim.lsp.get_clients({ name = 'fovea' })
  if #clients == 0 then
    vim.health.info('no server is running; one starts when a source file is opened')
  end
  for _, client in ipairs(clients) do
    vim.health.ok(('server for %s, positions in %s'):format(client.root_dir or '?', client.offset_encoding))
  end
end

return M
